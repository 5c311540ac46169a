# Plain imitation of a teacher's pictures: tuned here, of no paper (docs/results.md).
imitation = [
    dict(type='mmgan_compress.SSIMLoss', weight=10.0),
    # the part that sees colours: the windows of SSIM hardly do
    dict(type='mmgan_compress.SlimmingPixelLoss', weight=50.0),
]
