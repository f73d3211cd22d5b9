"""What would stop an attach or a build on this machine, looked at before anybody tries."""

from debugtool.doctor.diagnosis import Diagnosis, DoctorRequest, diagnose
from debugtool.doctor.finding import Finding, Status, finding_text

__all__ = ["Diagnosis", "DoctorRequest", "Finding", "Status", "diagnose", "finding_text"]
