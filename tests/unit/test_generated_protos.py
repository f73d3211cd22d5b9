"""The generated protocol modules are what their .proto files say, and load on every version we admit."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool

from debugtool.plugin.proto import backend_pb2, goplugin_pb2, health_pb2

ROOT = Path(__file__).resolve().parents[2]


def test_generated_code_is_up_to_date() -> None:
    script = ROOT / "scripts" / "gen-protos"
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_generated_code_claims_the_floors_of_pyproject() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    code = (ROOT / "debugtool/plugin/proto/backend_pb2.py").read_text(encoding="utf-8")
    grpc_code = (ROOT / "debugtool/plugin/proto/backend_pb2_grpc.py").read_text(encoding="utf-8")
    assert any(line.startswith("protobuf>=6.31,") for line in dependencies)
    assert "Domain.PUBLIC,\n    6,\n    31,\n    1,\n" in code
    assert any(line.startswith("grpcio>=1.80,") for line in dependencies)
    assert "GRPC_GENERATED_VERSION = '1.80.0'" in grpc_code


def test_file_names_in_the_pool_are_ours_alone() -> None:
    """A plugin may have a backend.proto of its own: two files of one name in protobuf's pool cannot be loaded."""
    for module in (backend_pb2, goplugin_pb2, health_pb2):
        assert module.DESCRIPTOR.name.startswith("debugtool/plugin/proto/")


def test_the_standard_health_package_can_be_loaded_beside_ours() -> None:
    """What grpcio-health-checking registers when a plugin imports it."""
    theirs = descriptor_pb2.FileDescriptorProto(name="grpc_health/v1/health.proto", package="grpc.health.v1")
    theirs.message_type.add(name="HealthCheckRequest")
    assert descriptor_pool.Default().AddSerializedFile(theirs.SerializeToString()).name == theirs.name


def test_app_instance_settings_really_start_at_three() -> None:
    fields = backend_pb2.AppInstanceSettings.DESCRIPTOR.fields_by_name
    assert {name: field.number for name, field in fields.items()} == {
        "jsonData": 3,
        "decryptedSecureJsonData": 4,
        "lastUpdatedMS": 5,
        "apiVersion": 6,
    }


def test_service_paths_are_those_of_the_hosts() -> None:
    pool = descriptor_pool.Default()
    paths = {
        f"/{service.full_name}/{method.name}"
        for module in (backend_pb2, goplugin_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert pool.FindServiceByName("pluginv2.Data") is not None
    assert paths == {
        "/pluginv2.Resource/CallResource",
        "/pluginv2.Data/QueryData",
        "/pluginv2.Data/QueryChunkedData",
        "/pluginv2.Diagnostics/CheckHealth",
        "/pluginv2.Diagnostics/CollectMetrics",
        "/pluginv2.Stream/SubscribeStream",
        "/pluginv2.Stream/RunStream",
        "/pluginv2.Stream/PublishStream",
        "/pluginv2.AdmissionControl/ValidateAdmission",
        "/pluginv2.AdmissionControl/MutateAdmission",
        "/pluginv2.ResourceConversion/ConvertObjects",
        "/plugin.GRPCBroker/StartStream",
        "/plugin.GRPCStdio/StreamStdio",
        "/plugin.GRPCController/Shutdown",
    }
