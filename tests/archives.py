"""Small archives and images that the tests of the data code share."""

import io
import tarfile
import zipfile

from PIL import Image


def image_bytes(size=(8, 8), color='red', form='PNG', **kwargs):
    stream = io.BytesIO()
    Image.new('RGB', size, color).save(stream, form, **kwargs)
    return stream.getvalue()


def make_zip(path, files):
    with zipfile.ZipFile(path, 'w') as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return path


def make_tar(path, files):
    with tarfile.open(path, 'w:gz') as pack:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            pack.addfile(info, io.BytesIO(data))
    return path
