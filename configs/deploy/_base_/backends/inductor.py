# mmdeploy has no such backend: for tools/export.py only
backend_config = dict(type='inductor')
