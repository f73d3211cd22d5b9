"""pluginv2.AdmissionControl and ResourceConversion: what may be stored, and in which version."""

from __future__ import annotations

from typing import Any

import grpc

from debugtool.plugin import convert
from debugtool.plugin.calls import Caller, fail
from debugtool.plugin.proto import backend_pb2 as pb
from debugtool.plugin.responses import ConversionResult, MutationResult, StatusResult, ValidationResult


class AdmissionService:
    """Answers with `validate_admission`, `mutate_admission` and `convert_objects`."""

    def __init__(self, plugin: Any, caller: Caller) -> None:
        self._plugin = plugin
        self._caller = caller

    def validate_admission(self, request: pb.AdmissionRequest, call: grpc.ServicerContext) -> pb.ValidationResponse:
        """Say whether an object may be stored."""
        result = self._ask("validate_admission", request, convert.admission_request(request), call)
        if isinstance(result, bool):
            result = ValidationResult(result)
        if not isinstance(result, ValidationResult):
            _refuse_type(call, "validate_admission", "a ValidationResult or a bool", result)
        return pb.ValidationResponse(
            allowed=result.allowed, result=_status(result.result), warnings=list(result.warnings)
        )

    def mutate_admission(self, request: pb.AdmissionRequest, call: grpc.ServicerContext) -> pb.MutationResponse:
        """Give an object as it shall be stored."""
        result = self._ask("mutate_admission", request, convert.admission_request(request), call)
        if not isinstance(result, MutationResult):
            _refuse_type(call, "mutate_admission", "a MutationResult", result)
        return pb.MutationResponse(
            allowed=result.allowed,
            result=_status(result.result),
            warnings=list(result.warnings),
            object_bytes=result.object,
        )

    def convert_objects(self, request: pb.ConversionRequest, call: grpc.ServicerContext) -> pb.ConversionResponse:
        """Bring objects to another version."""
        result = self._ask("convert_objects", request, convert.conversion_request(request), call)
        if not isinstance(result, ConversionResult):
            _refuse_type(call, "convert_objects", "a ConversionResult", result)
        objects = [pb.RawObject(raw=one.raw, content_type=one.content_type) for one in result.objects]
        return pb.ConversionResponse(uid=request.uid, result=_status(result.result), objects=objects)

    def _ask(
        self,
        name: str,
        request: pb.AdmissionRequest | pb.ConversionRequest,
        wanted: object,
        call: grpc.ServicerContext,
    ) -> Any:
        context = self._caller.open(request.pluginContext, {}, call)
        try:
            return self._caller.call(getattr(self._plugin, name), context, call, wanted)
        except Exception as error:  # a handler may raise anything; the host must hear of it
            fail(call, context, name, error)


def _refuse_type(call: grpc.ServicerContext, name: str, wanted: str, result: object) -> None:
    call.abort(grpc.StatusCode.INTERNAL, f"{name} must return {wanted}, not {type(result).__name__}")


def _status(result: StatusResult) -> pb.StatusResult:
    return pb.StatusResult(status=result.status, message=result.message, reason=result.reason, code=result.code)
