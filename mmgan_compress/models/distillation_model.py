"""The model that Runner trains: a translation model that is the student."""

import contextlib
import copy

import torch
import torch.nn as nn
from mmagic.models.base_models import BaseTranslationModel
from mmagic.structures import DataSample
from torch import Tensor

from ..core.checkpoints import pretrained_faults, refuse
from ..core.domains import per_domain
from ..core.inputs import Noise, StyledImage, input_of
from ..core.training import step_rest
from ..registry import DISTILLERS, MODELS


@MODELS.register_module()
class DistillationModel(BaseTranslationModel):
    """A translation model whose generators are the student.

    For validation, test, inference and export it is an ordinary mmagic
    translation model; how it is trained is the distiller's affair.

    Args:
        generator (dict): Config of the student's generator, or
            ``{domain: config}`` for directions that differ.
        distiller (dict | None): Config of the method; None for inference.
        default_domain (str): Domain that is generated.
        reachable_domains (list[str]): Domains that a student is made for:
            one for the papers' setting, two for both directions.
        related_domains (list[str]): Both domains, source first.
        test_in_train_mode (bool): Score with dropout and batch statistics
            as mmagic does. The default scores what is shipped: eval mode.
        data_preprocessor (dict | None): mmagic's, to [-1, 1] by default.
    """

    def __init__(
        self,
        generator: dict,
        default_domain: str,
        reachable_domains: list[str],
        related_domains: list[str],
        distiller: dict | None = None,
        test_in_train_mode: bool = False,
        data_preprocessor: dict | None = None,
    ):
        configs, first = per_domain(generator, reachable_domains), reachable_domains[0]
        super().__init__(
            generator=configs[first],
            discriminator=None,
            default_domain=default_domain,
            reachable_domains=reachable_domains,
            related_domains=related_domains,
            data_preprocessor=data_preprocessor
            or dict(type='DataPreprocessor', _scope_='mmagic', data_keys=[]),
        )
        if len(related_domains) != 2:
            raise ValueError(f'related_domains must be two, got {related_domains}')
        for domain, config in configs.items():
            if config != configs[first]:
                self.generators[domain] = MODELS.build(config)
        self._gen_cfg = copy.deepcopy(generator)
        self.test_in_train_mode = test_in_train_mode
        self._scored, self._scored_domains = {'fake': 'student'}, reachable_domains
        self.distiller = None
        if distiller is not None:
            self.distiller = DISTILLERS.build(distiller)
            kind = distiller['type']
            self.distiller.method = (
                kind.rsplit('.', 1)[-1] if isinstance(kind, str) else kind.__name__
            )
            self.distiller.attach(self)

    @property
    def domains(self) -> list[str]:
        """Domains that the student generates."""
        return list(self._reachable_domains)

    def source_of(self, domain: str) -> str:
        """Return the domain that ``domain`` is generated from."""
        return self.get_other_domains(domain)[0]

    def input_of(self, domain: str, inputs: dict[str, Tensor], style: int = 0) -> Tensor:
        """Return what the generator of ``domain`` takes of a step's inputs.

        Args:
            domain (str): What is generated.
            inputs (dict[str, Tensor]): ``img_<domain>`` (N, C, H, W) in
                [-1, 1]; ``noise`` (N, size).
            style (int): Which numbers of the noise are the style, where it
                takes one: the first ones (0), those behind them (1), ...

        Raises:
            ValueError: If the noise has too few numbers for that.
        """
        takes = input_of(self.generators[domain])
        if isinstance(takes, Noise):
            return inputs['noise']
        image = inputs[f'img_{self.source_of(domain)}']
        if not isinstance(takes, StyledImage):
            return image
        if self._styles(domain, inputs) <= style:
            raise ValueError(
                f'the generator of {domain!r} takes a style of {takes.style} numbers with each '
                f'image: set noise_size={takes.style * (style + 1)} of the data set'
            )
        numbers = inputs['noise'][:, style * takes.style : (style + 1) * takes.style]
        return takes.pack(image, numbers)

    def _styles(self, domain: str, inputs: dict[str, Tensor]) -> int:
        """Return how many styles the noise of a step has numbers for."""
        takes = input_of(self.generators[domain])
        if not isinstance(takes, StyledImage) or 'noise' not in inputs:
            return 0
        return inputs['noise'].shape[1] // takes.style

    def weight_faults(self) -> list[str]:
        """Say which files of weights do not fit their networks."""
        teachers = [] if self.distiller is None else self.distiller.teacher_faults()
        return [*pretrained_faults(self), *teachers]

    def init_weights(self):
        """Initialise student, teachers and discriminators.

        Raises:
            ValueError: If a file of weights does not fit its network.
        """
        refuse(self.weight_faults())
        for generator in self.generators.values():
            if hasattr(generator, 'init_weights'):  # not any nn.Module
                generator.init_weights()
        if self.distiller is not None:
            self.distiller.init_weights()

    def train_step(self, data: dict, optim_wrapper) -> dict[str, Tensor]:
        """Preprocess the batch and let the distiller take its step.

        The last one of the schedule also steps by gradients that wait for
        further iterations (``accumulative_counts``).

        Args:
            data (dict): Of the loader; further streams that the distiller
                asks for are under ``'streams'`` by name, and reach it as
                entries of its inputs.
            optim_wrapper (OptimWrapperDict): Optimizers.
        """
        streams = {
            name: self.data_preprocessor(batch, True)['inputs']
            for name, batch in data.get('streams', {}).items()
        }
        main = {k: v for k, v in data.items() if k != 'streams'}
        inputs = self.data_preprocessor(main, True)['inputs']
        log = self.distiller.train_step({**inputs, **streams}, optim_wrapper)
        if self.distiller.iteration == self.distiller.schedule.total_iters:
            for wrapper in optim_wrapper.values():
                step_rest(wrapper)
        return log

    @contextlib.contextmanager
    def scoring(self, network: str, domains: list[str] | None = None, teacher: str | None = None):
        """Let ``val_step`` run other networks inside the block.

        Args:
            network (str): ``'student'`` or the name of a teacher.
            domains (list[str] | None): What to generate; the student's
                domains if None.
            teacher (str | None): Teacher whose pictures come beside those of
                the network, as ``teacher_<domain>``.
        """
        before = self._scored, self._scored_domains
        self._scored = {'fake': network, **({'teacher': teacher} if teacher else {})}
        self._scored_domains = domains or self.domains
        try:
            yield self
        finally:
            self._scored, self._scored_domains = before

    def network(self, name: str, domain: str) -> nn.Module:
        """Return the generator of ``domain`` that a name stands for."""
        if name == 'student':
            return self.generators[domain]
        return self.distiller.network(name, domain)

    @torch.no_grad()
    def val_step(self, data: dict) -> list[DataSample]:
        """Translate a batch.

        Returns:
            list[DataSample]: Per image ``img_<domain>`` and, for each
            domain, ``fake_<domain>``: (C, H, W), whole numbers in
            0..255 as an image file would hold them. Where the noise has the
            numbers of two styles, ``restyled_<domain>`` has the second one.
        """
        batch = self.data_preprocessor(data)
        inputs, samples = batch['inputs'], batch['data_samples']
        images = {key: x for key, x in inputs.items() if key != 'noise'}
        for domain in self._scored_domains:
            for prefix, name in self._scored.items():
                network = self.network(name, domain)
                mode = network.training
                network.train(self.test_in_train_mode)
                images[f'{prefix}_{domain}'] = network(self.input_of(domain, inputs))
                if prefix == 'fake' and self._styles(domain, inputs) > 1:
                    second = self.input_of(domain, inputs, style=1)
                    images[f'restyled_{domain}'] = network(second)
                network.train(mode)
        shown = {key: self.to_pixels(x) for key, x in images.items()}
        results, mode = [], 'train' if self.test_in_train_mode else 'eval'  # for the protocol
        for index, sample in enumerate(samples.split()):
            result = DataSample(metainfo=dict(sample.metainfo, generator_mode=mode))
            result.set_tensor_data({k: x[index] for k, x in shown.items()})
            results.append(result)
        return results

    test_step = val_step

    @staticmethod
    def to_pixels(image: Tensor) -> Tensor:
        """Map [-1, 1] to whole numbers in 0..255 on the CPU."""
        return ((image.float() + 1) * 127.5).clamp(0, 255).round().cpu()
