"""mpx beside PyTorch, eager and compiled, in turns on the same cores; medians and ratios.

  python bench/peers/compare.py [--build build] [--jobs tutorial_job,gpt_small_step] [--rounds 5] [--gpu]

PyTorch must be importable by this interpreter (pip install torch numpy); without it mpx is timed alone.
Every system runs in a process of its own and sleeps while the others work. The memory is the process's peak. "of limit" is
the share of mpx's time that the products of the step take by themselves, each shape timed alone through oneDNN.

With --gpu the jobs of build/bench/cuda_* run on the first GPU, whose memory they need for themselves: one system after the
other. The memory is the GPU's. "MFU" is the share of --peak TFLOP/s that 6 N + 6 L C T operations a token are: N parameters,
L layers, width C, T tokens; half of attention's scores are masked and not counted.
"""
import argparse
import importlib.util
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ["tutorial_job", "gpt_small_step", "gpt2_step"]
GPU_PROGRAMS = ["cuda_tutorial_job", "cuda_gpt2_step", "cuda_gpt2_xl_step"]
# Operations of a token, forward and backward, of the jobs that MFU is asked of: parameters, layers, width, tokens.
OPERATIONS = {
    job: 6 * (width * (50304 + tokens) + layers * (12 * width**2 + 13 * width) + 2 * width) + 6 * layers * width * tokens
    for job, layers, width, tokens in [("gpt2_step_16x1024", 12, 768, 1024), ("gpt2_xl_step_4x1024", 48, 1600, 1024)]
}


class Worker:
    def __init__(self, label, command):
        self.label, self.seconds, self.memory = label, [], 0.0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ready = self.process.stdout.readline().split()
        self.alive = ready[:1] == ["ready"]
        if self.alive:
            self.tokens = float(ready[1])

    def take(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        *seconds, memory = map(float, self.process.stdout.readline().split())
        self.seconds += seconds
        self.memory = memory

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    @property
    def median(self):
        return statistics.median(self.seconds)


def commands_of(program, name, with_torch):
    torch = [sys.executable, str(HERE / "torch_jobs.py"), "--serve", name]
    commands = {"mpx": [str(program), "--serve", name]}
    if with_torch:
        commands |= {"eager": torch, "compiled": torch + ["--compile"]}
    return commands


def compare_on_gpu(program, name, rounds, with_torch, peak):
    job = name.split("/")[0]
    of_mpx = None
    for label, command in commands_of(program, name, with_torch).items():
        worker = Worker(label, command)
        if not worker.alive:
            print(f"{name:28} {label} did not start", flush=True)
            continue
        for _ in range(rounds):
            worker.take(20)
        worker.stop()
        of_mpx = worker.median if label == "mpx" else of_mpx
        ratio = f"{worker.median / of_mpx:8.2f}" if of_mpx else f"{'-':>8}"
        rate = worker.tokens / worker.median
        share = f"{rate * OPERATIONS[job] / (peak * 1e12):8.1%}" if job in OPERATIONS else ""
        print(f"{name:28} {label:9} {1e3 * worker.median:10.2f} {rate:10.0f} {worker.memory:9.0f} {ratio} "
              f"{share:>8}", flush=True)


def compare(program, name, rounds, with_torch):
    job = name.split("/")[0]
    commands = commands_of(program, name, with_torch)
    limit = float(subprocess.run([program, "--limit", name], capture_output=True, text=True, check=True).stdout)
    workers = [Worker(label, command) for label, command in commands.items()]
    for dead in (w for w in workers if not w.alive):
        print(f"{name:28} {dead.label} did not start", flush=True)
    workers = [w for w in workers if w.alive]
    steps = 20 if job == "tutorial_job" else 2
    for _ in range(rounds):
        for one in workers:
            one.take(steps)
    for one in workers:
        one.stop()
    mpx = workers[0]
    share = f"{limit / mpx.median:8.0%}"
    for one in workers:
        print(f"{name:28} {one.label:9} {1e3 * one.median:10.2f} {mpx.tokens / one.median:10.0f} {one.memory:9.0f} "
              f"{one.median / mpx.median:8.2f} {share if one is mpx else '':>8}", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    options.add_argument("--jobs", help="names or beginnings of names, such as gpt2_step_4x256/bf16; all where left out")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--gpu", action="store_true")
    options.add_argument("--peak", type=float, default=989.4, help="TFLOP/s of the GPU in bf16, dense: an H100's or H200's")
    chosen = options.parse_args()
    with_torch = importlib.util.find_spec("torch") is not None
    if not with_torch:
        print("PyTorch is not installed for this interpreter: mpx alone")
    print(f"{'job/precision/threads':28} {'system':9} {'ms a step':>10} {'tokens/s':>10} {'peak MiB':>9} {'of mpx':>8} "
          f"{'MFU' if chosen.gpu else 'of limit':>8}")
    for program in (chosen.build / "bench" / name for name in (GPU_PROGRAMS if chosen.gpu else PROGRAMS)):
        names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in names:
            if chosen.jobs and not any(name.startswith(wanted) for wanted in chosen.jobs.split(",")):
                continue
            if chosen.gpu:
                compare_on_gpu(program, name, chosen.rounds, with_torch, chosen.peak)
            else:
                compare(program, name, chosen.rounds, with_torch)


main()
