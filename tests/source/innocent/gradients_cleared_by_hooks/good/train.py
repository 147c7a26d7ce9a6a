"""Linear regression six times: each run clears its gradients in another place than the loop, or without zero_grad."""

import torch
from torch import nn

torch.manual_seed(3)
inputs = torch.randn(48, 5)
targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5], [0.0], [3.0]])


def fresh():
    model = nn.Linear(5, 1)
    return model, torch.optim.SGD(model.parameters(), lr=0.05)


def loss_of(model):
    return nn.functional.mse_loss(model(inputs), targets)


def cleared_after_each_step(steps):
    model, optimizer = fresh()
    optimizer.register_step_post_hook(lambda opt, args, kwargs: opt.zero_grad())
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
    return loss.item()


def stepped_during_backward(steps):
    """Each parameter is updated and its gradient freed as soon as it is complete."""
    model, _ = fresh()
    optimizers = {p: torch.optim.SGD([p], lr=0.05) for p in model.parameters()}

    def update(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
    return loss.item()


def dropped_when_the_next_arrives(steps):
    """A hook of each parameter throws the old gradient away before the new one is added."""
    model, optimizer = fresh()

    def forget(parameter):
        def hook(gradient):
            parameter.grad = None

        return hook

    for parameter in model.parameters():
        parameter.register_hook(forget(parameter))
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
    return loss.item()


def cleared_before_the_forward_pass(steps):
    model, optimizer = fresh()
    model.register_forward_pre_hook(lambda module, args: optimizer.zero_grad())
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
    return loss.item()


def zeroed_in_one_kernel(steps):
    model, optimizer = fresh()
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        torch._foreach_zero_([p.grad for p in model.parameters()])
    return loss.item()


def faded_to_nothing(steps):
    model, optimizer = fresh()
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        torch._foreach_mul_(gradients, 0.0)
    return loss.item()


def deleted(steps):
    model, optimizer = fresh()
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        for parameter in model.parameters():
            del parameter.grad
    return loss.item()


def multiplied_away(steps):
    model, optimizer = fresh()
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        for parameter in model.parameters():
            gradient = parameter.grad
            gradient *= 0
    return loss.item()


if __name__ == "__main__":
    ways = (
        cleared_after_each_step,
        stepped_during_backward,
        dropped_when_the_next_arrives,
        cleared_before_the_forward_pass,
        zeroed_in_one_kernel,
        faded_to_nothing,
        deleted,
        multiplied_away,
    )
    for way in ways:
        print(way.__name__, round(way(30), 4))
