"""A real Prometheus (Debian's) that scrapes what runs on this machine and labels it as in a cluster: as the
ServiceMonitor and the PodMonitor of deploy/overlays/prometheus do, and the Prometheus Operator with them."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import yaml

from processes import eventually, free_port

# What the Prometheus Operator makes of a pod: the namespace, the pod, the container, the port's name as
# endpoint, and job from the label that jobLabel names.
LABELS = ("namespace", "pod", "container", "endpoint", "job")


def operator_job(address, namespace, pod, monitor):
    """Of an operator's pages; its ServiceMonitor says what the port is called."""
    (endpoint,) = monitor["spec"]["endpoints"]
    labels = {
        "namespace": namespace, "pod": pod, "container": "operator", "endpoint": endpoint["port"],
        "service": "dpumesh-operator-metrics",
    }  # fmt: skip
    return {
        "job_name": monitor["metadata"]["name"], "metrics_path": endpoint["path"],
        "static_configs": [{"targets": [address], "labels": labels}],
    }  # fmt: skip


def agents_job(targets_url, namespace, monitor):
    """Of the replicas that `dpumesh up` tells at targets_url with the labels service and replica."""
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    fixed = {"namespace": namespace, "container": "agent", "endpoint": endpoint["port"]}
    rules = [{"source_labels": ["service"], "target_label": "job"}, {"source_labels": ["replica"], "target_label": "pod"}]
    rules += [{"target_label": name, "replacement": value} for name, value in fixed.items()]
    return {
        "job_name": monitor["metadata"]["name"], "metrics_path": endpoint["path"],
        "http_sd_configs": [{"url": targets_url, "refresh_interval": "1s"}],
        "relabel_configs": [*rules, {"action": "labeldrop", "regex": "application|service|replica"}],
    }  # fmt: skip


class Prometheus:
    """Scrapes each second. with Prometheus(folder, jobs) as prometheus: ..."""

    def __init__(self, folder, jobs):
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.config = folder / "prometheus.yaml"
        self.config.write_text(
            yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs})
        )
        self.process = None

    def __enter__(self):
        command = [
            "prometheus", f"--config.file={self.config}", f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn",
        ]  # fmt: skip
        log = self.folder / "prometheus.log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        eventually(self.is_ready, 30, log.read_text)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def is_ready(self):
        assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """The data of an answer of the HTTP API; what was wrong with the question is an assertion."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression):
        """[(labels, value)] now."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=expression)["result"]]

    def label_values(self, selector, label):
        return self.ask(f"label/{label}/values", **{"match[]": selector})
