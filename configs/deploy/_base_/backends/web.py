backend_config = dict(type='web')
