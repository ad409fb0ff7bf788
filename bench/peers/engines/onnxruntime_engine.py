"""ONNX Runtime at the inference cases of the speed table; variant: default (all optimisations)."""
import onnxruntime

import worker


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def make(args):
    x = worker.normalised(args).transpose(0, 3, 1, 2).copy()
    net = session(f"{args.workload}/network_{len(x)}.onnx", args.threads)
    return worker.Work("ONNX Runtime " + onnxruntime.__version__,
                       lambda: net.run(None, {"pictures": x})[0])


if __name__ == "__main__":
    worker.main(make)
