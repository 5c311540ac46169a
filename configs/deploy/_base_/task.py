# what mmdeploy needs to find our task; it is registered by the module
codebase_config = dict(
    type='mmagic',
    task='ImageTranslation',
    model_type='end2end',
    module=['mmgan_compress.deploy.mmdeploy_task'],
)
