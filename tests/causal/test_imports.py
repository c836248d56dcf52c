import subprocess
import sys


def test_the_package_needs_no_keras_experiment_or_database():
    script = (
        "import sys, deep_bottleneck.causal, deep_bottleneck.causal.weight_graph, "
        "deep_bottleneck.gradient_noise\n"
        "print(sorted({'keras', 'sacred', 'pymongo', 'tensorflow'} & sys.modules.keys()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )

    assert done.stdout == "[]\n"
