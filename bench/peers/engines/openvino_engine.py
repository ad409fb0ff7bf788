"""OpenVINO at the inference cases of the speed table; variants: latency (hint), plain. Always fp32."""
import openvino

import worker


def compile_model(path, threads, variant, **more):
    """fp32: without the hint OpenVINO computes in bf16 where the processor can, another thing."""
    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", **more}
    if variant == "latency":
        config["PERFORMANCE_HINT"] = "LATENCY"
    return openvino.Core().compile_model(path, "CPU", config)


def make(args):
    x = worker.normalised(args).transpose(0, 3, 1, 2).copy()
    net = compile_model(f"{args.workload}/network_{len(x)}.xml", args.threads, args.variant)
    request = net.create_infer_request()
    tensor = openvino.Tensor(x, shared_memory=True)
    request.set_input_tensor(tensor)

    def step(held=(x, tensor)):  # OpenVINO does not keep what it only borrows
        request.infer()
        return request.get_output_tensor().data
    return worker.Work("OpenVINO " + openvino.__version__.split("-")[0], step)


if __name__ == "__main__":
    worker.main(make)
