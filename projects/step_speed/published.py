"""The published order of each training step, written down plainly.

Own code after the descriptions of OMGD (arXiv 2108.06908), CRD (2212.11091)
and GCC (2110.14439): one pass for each image, in-place activations, hooks
that stay, graphs of teachers that do not train, the window of SSIM with all
of its 121 weights, an optimizer with torch's defaults for each network.
Networks, adaptors and weights are a copy of our model's.
"""

import copy
import itertools
import runpy
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.models.editors.cyclegan.cyclegan_modules import GANImageBuffer
from torch.profiler import record_function as part

from mmgan_compress.models.discriminators import MultiHeadPatchDiscriminator
from mmgan_compress.models.generators import SkipLevel

RELATION_COST = Path(__file__).parents[1] / 'relation_cost/benchmark_relations.py'


def adam(like, *modules):
    """Return an Adam of all parameters, with the rates of an optimizer of ours."""
    group = like.param_groups[0]
    parameters = itertools.chain(*(m.parameters() for m in modules))
    return torch.optim.Adam(parameters, group['lr'], group['betas'])


def learn(modules, flag: bool):
    """Let the parameters of modules get gradients, or not."""
    for module in modules:
        module.requires_grad_(flag)


def gan(kind: str, logits, role: str):
    """Return the adversarial loss of logits."""
    if kind == 'lsgan':
        return F.mse_loss(logits, torch.full_like(logits, float(role != 'fake')))
    if role == 'g':
        return -logits.mean()
    return F.relu(1 + logits if role == 'fake' else 1 - logits).mean()


def gram(x):
    """Return the Gram matrices of (N, C, H, W)."""
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2) / x[0].numel()


class VGG(nn.Module):
    """VGG-16 in four slices, with the weights of ours."""

    def __init__(self, ours: nn.Module):
        super().__init__()
        weights, self.slices = dict(ours.named_buffers()), nn.ModuleList([nn.Sequential()])
        for index in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21):
            if index in (5, 10, 17):
                self.slices.append(nn.Sequential(nn.MaxPool2d(2)))
            weight = weights[f'weight_{index}']
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.weight.data, conv.bias.data = weight, weights[f'bias_{index}']
            self.slices[-1].extend([conv, nn.ReLU(inplace=True)])
        self.requires_grad_(False)

    def forward(self, x):
        x, found = (x + 1) / 2, []
        for layers in self.slices:
            x = layers(x)
            found.append(x)
        return found


class Published:
    """What the published steps share.

    Args:
        model (DistillationModel): Ours, whose networks are copied.
        wrappers (OptimWrapperDict): Ours, for the learning rates.
    """

    def __init__(self, model: nn.Module, wrappers):
        model = copy.deepcopy(model)
        self.target = model.domains[0]
        self.source = model.source_of(self.target)
        self.student, self.distiller = model.generators[self.target], model.distiller
        self.losses = {loss.name: loss for loss in self.distiller.losses[self.target]}
        self.kept: dict = {}
        for module in model.modules():
            if isinstance(module, SkipLevel):  # its first layer overwrites what it is given
                module.forward = lambda x, net=module.model: torch.cat([net(x), x][::-1], 1)
            if isinstance(module, nn.InstanceNorm2d):
                module.__class__ = nn.InstanceNorm2d
            if hasattr(module, 'inplace'):
                module.inplace = True
        if self.distiller.perceptual is not None:
            self.vgg = VGG(self.distiller.perceptual)
        line = torch.exp(-((torch.arange(11.0) - 5) ** 2) / (2 * 1.5**2))
        window = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 11, 11)
        self.window = window.contiguous().to(next(model.parameters()).device)

    def keep(self, name: str, network: nn.Module, layers):
        """Keep features of every pass of a network from now on."""
        for layer in layers:
            network.get_submodule(layer).register_forward_hook(
                lambda _, __, out, key=(name, layer): self.kept.__setitem__(key, out)
            )

    def ssim(self, x, y):
        """Return SSIM, from five passes of the whole window."""

        def blur(z):
            return F.conv2d(z, self.window, padding=5, groups=3)

        x_mean, y_mean = blur(x), blur(y)
        x_var, y_var = blur(x * x) - x_mean**2, blur(y * y) - y_mean**2
        both = blur(x * y) - x_mean * y_mean
        a, b = 0.01**2, 0.03**2
        return (
            (2 * x_mean * y_mean + a)
            * (2 * both + b)
            / ((x_mean**2 + y_mean**2 + a) * (x_var + y_var + b))
        ).mean()

    def relations(self, x, y, size: int):
        """Return RKD of rows, columns and patches of one image."""
        naive = runpy.run_path(str(RELATION_COST))['naive_relations']
        samples = (
            lambda image: image[0].transpose(0, 1).flatten(1),
            lambda image: image[0].permute(2, 0, 1).flatten(1),
            lambda image: F.unfold(image, size, stride=size)[0].T,
        )
        return sum(naive(take(x), take(y)) for take in samples)

    def seen(self, image):
        """Return what VGG sees of the student's image."""
        with part('perceptual'):
            return self.vgg(image) if 'style' in self.losses else None

    def imitation(self, image, target, teacher: str, ours=None) -> dict:
        """Return the losses of OMGD and CRD against one teacher's image."""
        found, losses = {}, self.losses
        if 'style' in losses:
            with part('perceptual'):
                theirs = self.vgg(target)
            with part('StyleLoss'):
                found['style'] = sum(F.l1_loss(gram(s), gram(t)) for s, t in zip(ours, theirs))
            found['feature'] = F.l1_loss(ours[1], theirs[1])
        if 'ssim' in losses:
            with part('SSIMLoss'):
                found['ssim'] = 1 - self.ssim(image, target)
        if 'tv' in losses:
            found['tv'] = (image[..., 1:] - image[..., :-1]).abs().sum() + (
                image[..., 1:, :] - image[..., :-1, :]
            ).abs().sum()
        if 'channel' in losses and teacher in losses['channel'].teachers:
            loss = losses['channel']
            found['channel'] = sum(
                F.mse_loss(
                    adaptor(self.kept['student', s]).mean((2, 3)),
                    self.kept[teacher, t].detach().mean((2, 3)),
                )
                for adaptor, s, t in zip(loss.adaptors[teacher], loss.layers, loss.target_layers)
            )
        if 'relation' in losses:
            with part('RelationLoss'):
                found['relation'] = self.relations(image, target, losses['relation'].patch_size)
        return {
            f'loss_{name}_{self.target}_{teacher}': losses[name].weight * value
            for name, value in found.items()
        }


class CycleGAN(Published):
    """OMGD and CRD on unpaired images: phases of the teacher and the student."""

    def __init__(self, model: nn.Module, wrappers):
        super().__init__(model, wrappers)
        teacher = self.distiller.teacher
        names = self.target, self.source
        self.there, self.back = (teacher.generators[name] for name in names)
        self.discriminators = [teacher.discriminators[name] for name in names]
        self.pools = [GANImageBuffer(50) for _ in names]
        self.keep('teacher', self.there, self.distiller.layers_of(self.target, 'teacher'))
        self.keep('student', self.student, self.distiller.layers_of(self.target))
        self.generators_adam = adam(wrappers['teachers'], self.there, self.back)
        self.discriminators_adam = adam(wrappers['discriminators'], *self.discriminators)
        self.student_adam = adam(wrappers['student'], self.student, self.distiller.losses)

    def teacher(self, inputs: dict) -> dict:
        """Take the step of a CycleGAN."""
        real_a, real_b = (inputs[f'img_{name}'] for name in (self.source, self.target))
        fake_b = self.there(real_a)
        cycle_a = self.back(fake_b)
        fake_a = self.back(real_b)
        cycle_b = self.there(fake_a)
        learn(self.discriminators, False)
        self.generators_adam.zero_grad()
        same_b, same_a = self.there(real_b), self.back(real_a)
        rows = [
            (self.target, self.discriminators[0], self.pools[0], real_b, fake_b, cycle_b, same_b),
            (self.source, self.discriminators[1], self.pools[1], real_a, fake_a, cycle_a, same_a),
        ]
        log = {}
        for name, judge, _, real, fake, cycle, same in rows:
            log[f'loss_gan_{name}'] = gan('lsgan', judge(fake), 'g')
            log[f'loss_cycle_{name}'] = 10 * F.l1_loss(cycle, real)
            log[f'loss_identity_{name}'] = 5 * F.l1_loss(same, real)
        sum(log.values()).backward()
        self.generators_adam.step()
        learn(self.discriminators, True)
        self.discriminators_adam.zero_grad()
        for name, judge, pool, real, fake, *_ in rows:
            fake = pool.query(fake.detach())
            loss = 0.5 * (gan('lsgan', judge(real), 'real') + gan('lsgan', judge(fake), 'fake'))
            loss.backward()
            log[f'loss_disc_{name}'] = loss
        self.discriminators_adam.step()
        return log

    def student_step(self, inputs: dict) -> dict:
        """Imitate the teacher, whose graph is made and not used."""
        real = inputs[f'img_{self.source}']
        self.student_adam.zero_grad()
        target, image = self.there(real), self.student(real)
        log = self.imitation(image, target.detach(), 'teacher', self.seen(image))
        if 'adversarial' in self.losses:
            learn(self.discriminators[:1], False)
            log[f'loss_adversarial_{self.target}_teacher'] = gan(
                'lsgan', self.discriminators[0](image), 'g'
            )
        sum(log.values()).backward()
        self.student_adam.step()
        return log


class Pix2Pix(Published):
    """OMGD on paired images, and what GCC shares with it."""

    def __init__(self, model: nn.Module, wrappers):
        super().__init__(model, wrappers)
        self.teachers = dict(sorted(self.distiller.teachers.items(), reverse=True))
        for name, network in self.teachers.items():
            self.keep(name, network, self.distiller.layers_of(self.target, name))
        self.keep('student', self.student, self.distiller.layers_of(self.target))
        self.iteration = 0
        several = isinstance(self.distiller.discriminator, MultiHeadPatchDiscriminator)
        self.heads = {name: [head] if several else [] for head, name in enumerate(self.teachers)}
        self.teacher_adams = {
            name: adam(wrappers['teachers'], net) for name, net in self.teachers.items()
        }
        self.discriminator_adam = adam(wrappers['discriminators'], self.distiller.discriminator)
        self.student_adam = adam(wrappers['student'], self.student, self.distiller.losses)

    def judge(self, x, image, name: str):
        """Return the logits of a pair, by the head of a teacher."""
        return self.distiller.discriminator(torch.cat([x, image], 1), *self.heads[name])

    def joint(self, inputs: dict) -> dict:
        """Take a step of the student, and of the others if it is their turn."""
        self.iteration += 1
        x, real = (inputs[f'img_{name}'] for name in (self.source, self.target))
        adams = [self.discriminator_adam, *self.teacher_adams.values()]
        for optimizer in (self.student_adam, *adams):
            optimizer.zero_grad()
        images = {name: net(x) for name, net in self.teachers.items()}
        image, log = self.student(x), {}
        if self.iteration % self.distiller.teacher_interval == 0:
            log = self.teach(x, real, images)
            for optimizer in adams:
                optimizer.step()
        own, seen = {}, self.seen(image)
        for name, fake in images.items():
            own.update(self.imitation(image, fake.detach(), name, seen))
        sum(own.values()).backward()
        self.student_adam.step()
        return {**log, **own}

    def teach(self, x, real, images: dict) -> dict:
        """Return the losses of the discriminator and the teachers, which get
        their gradients.
        """
        log, total = {}, 0
        learn([self.distiller.discriminator], True)
        for name, fake in images.items():
            for role, shown in (('fake', fake.detach()), ('real', real)):
                loss = 0.5 * gan('hinge', self.judge(x, shown, name), role)
                log[f'loss_disc_{role}_{name}'], total = loss, total + loss
        total.backward()
        learn([self.distiller.discriminator], False)
        for name, fake in reversed(images.items()):
            log[f'loss_gan_{name}'] = gan('hinge', self.judge(x, fake, name), 'g')
            log[f'loss_pixel_{name}'] = 100 * F.l1_loss(fake, real)
            (log[f'loss_gan_{name}'] + log[f'loss_pixel_{name}']).backward()
        return log


class GCC(Pix2Pix):
    """GCC on paired images, with the step of the gates."""

    def __init__(self, model: nn.Module, wrappers):
        super().__init__(model, wrappers)
        self.gated = self.distiller.student_discriminators[self.target]
        layers = self.losses['cooperative'].discriminator_layers
        self.keep('judge', self.distiller.discriminator, layers)
        self.gated_adam = adam(wrappers['student_discriminators'], self.gated.body)
        self.gates_adam = adam(wrappers['gates'], self.gated.gates)

    def adversarial(self, judge, optimizer, x, fake, real) -> dict:
        """Step a discriminator; return its halves."""
        optimizer.zero_grad()
        halves = {
            role: 0.5 * gan('hinge', judge(x, shown), role)
            for role, shown in (('fake', fake.detach()), ('real', real))
        }
        sum(halves.values()).backward()
        optimizer.step()
        return {f'loss_disc_{role}': loss for role, loss in halves.items()}

    def gate(self, x, image):
        """Return the logits of a pair by the student's discriminator."""
        return self.gated(torch.cat([x, image], 1))

    def features(self, name: str):
        """Return what was kept of a network and of the last judgement."""
        return [value for key, value in self.kept.items() if key[0] == name]

    def joint(self, inputs: dict) -> dict:
        """Take the steps of teacher, student and gates."""
        x, real = (inputs[f'img_{name}'] for name in (self.source, self.target))
        ((name, teacher),) = self.teachers.items()
        judge, gated = self.distiller.discriminator, self.gated
        target = teacher(x)
        learn([judge], True)
        halves = self.adversarial(
            lambda x, image: self.judge(x, image, name), self.discriminator_adam, x, target, real
        )
        log = {f'{key}_{name}': loss for key, loss in halves.items()}
        learn([judge], False)
        self.teacher_adams[name].zero_grad()
        log[f'loss_gan_{name}'] = gan('hinge', self.judge(x, target, name), 'g')
        log[f'loss_pixel_{name}'] = 100 * F.l1_loss(target, real)
        (log[f'loss_gan_{name}'] + log[f'loss_pixel_{name}']).backward()
        self.teacher_adams[name].step()
        wanted = [f.detach().clone() for f in self.features(name) + self.features('judge')]

        image = self.student(x)
        learn([gated.body], True)
        learn([gated.gates], False)
        log.update(self.adversarial(self.gate, self.gated_adam, x, image, real))
        learn([gated.body], False)
        self.student_adam.zero_grad()
        own = dict(
            loss_gan=gan('hinge', self.gate(x, image), 'g'), loss_pixel=100 * F.l1_loss(image, real)
        )
        self.judge(x, image, name)
        loss = self.losses['cooperative']
        shown = [a(f) for a, f in zip(loss.adaptors[name], self.features('student'))]
        pairs = list(zip(shown + self.features('judge'), wanted))
        content = sum(F.mse_loss(s, t).sqrt() for s, t in pairs)
        texture = sum(F.mse_loss(gram(s), gram(t)).sqrt() for s, t in pairs)
        own[f'loss_cooperative_{self.target}_{name}'] = loss.weight * (
            loss.content_weight * content + loss.gram_weight * texture
        )
        sum(own.values()).backward()
        self.student_adam.step()
        return {**log, **own, **self.gates(inputs['gates'], teacher)}

    def gates(self, inputs: dict, teacher: nn.Module) -> dict:
        """Move the gates on a batch of their own."""
        x, real = (inputs[f'img_{name}'] for name in (self.source, self.target))
        self.gated.clip_gates()
        image, target = self.student(x).detach(), teacher(x).detach()
        learn([self.gated.gates], True)
        self.gates_adam.zero_grad()
        fake, true = (self.gate(x, shown) for shown in (image, real))
        taught = self.judge(x, target, next(iter(self.teachers)))
        capacity = 0.5 * (gan('hinge', fake, 'fake') + gan('hinge', true, 'real'))
        gaps = [(gan('hinge', p, 'g') - gan('hinge', p, 'fake')).abs() for p in (fake, taught)]
        log = {
            f'loss_gates_coordination_{self.target}': (gaps[0] - gaps[1].detach()).abs(),
            f'loss_gates_capacity_{self.target}': capacity,
        }
        sum(log.values()).backward()
        self.gates_adam.step()
        return log


# by the name of the distiller in a recipe: the class, and its step by phase
STEPS = dict(
    OMGDCycleGAN=(CycleGAN, dict(teacher='teacher', student='student_step')),
    CRDCycleGAN=(CycleGAN, dict(teacher='teacher', student='student_step')),
    OMGDPix2Pix=(Pix2Pix, dict(joint='joint')),
    GCCPix2Pix=(GCC, dict(joint='joint')),
)
