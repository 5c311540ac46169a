# Layers of the generators that losses compare with a teacher's. Of ResNets:
# behind the second down-sampling and the 3rd, 6th and 9th block.
separable_layers = ['model.9', 'model.12', 'model.15', 'model.18']
resnet_layers = ['model.2', 'model.5', 'model.8', 'model.11']
# of U-Nets: ReLUs of the down path at levels 2 and 4, of the up path at 3
# and 1
unet_layers = [
    'model.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.2.activate',
    'model.model.1.model.2.activate',
]
