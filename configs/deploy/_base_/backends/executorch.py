# mmdeploy has no such backend: for mmgan-compress export only
backend_config = dict(type='executorch')
