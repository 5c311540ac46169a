"""Networks, teachers, student files and the model that Runner trains."""

from .. import registry  # noqa: F401  applies the shims before mmcv
from .cartoon import CartoonGenerator
from .discriminators import MultiHeadPatchDiscriminator
from .distillation_model import DistillationModel
from .frozen_teacher import FrozenTeacher
from .gates import GatedPatchDiscriminator
from .generators import (
    DeepSeparableResnetGenerator,
    DeepUnetGenerator,
    ResizeResnetGenerator,
    SeparableResnetGenerator,
)
from .image_teachers import CallableTeacher, OnnxTeacher, StoredTeacher, TruthTeacher
from .munit import MUNITDiscriminator, MUNITGenerator
from .original import load_original
from .perceptual import VGG16Features, VGG19Features
from .sagan import SelfAttentionDiscriminator, SelfAttentionGenerator
from .slim import slim_network
from .spade import MultiScaleDiscriminator, SPADEGenerator
from .srgan import SRGANDiscriminator, SRResNet
from .student import Student, load_student, read_test_config, save_student, student_info
from .supernet import SuperNet
from .teachers import CycleGANTeacher

__all__ = [
    'CallableTeacher',
    'CartoonGenerator',
    'CycleGANTeacher',
    'DeepSeparableResnetGenerator',
    'DeepUnetGenerator',
    'DistillationModel',
    'FrozenTeacher',
    'GatedPatchDiscriminator',
    'MUNITDiscriminator',
    'MUNITGenerator',
    'MultiHeadPatchDiscriminator',
    'MultiScaleDiscriminator',
    'OnnxTeacher',
    'ResizeResnetGenerator',
    'SPADEGenerator',
    'SRGANDiscriminator',
    'SRResNet',
    'SelfAttentionDiscriminator',
    'SelfAttentionGenerator',
    'SeparableResnetGenerator',
    'StoredTeacher',
    'Student',
    'SuperNet',
    'TruthTeacher',
    'VGG16Features',
    'VGG19Features',
    'load_original',
    'load_student',
    'read_test_config',
    'save_student',
    'slim_network',
    'student_info',
]
