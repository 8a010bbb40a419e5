"""The people who sign: doctors per department, nurses, pharmacists, the laboratory."""

import random
from dataclasses import dataclass, field

from .clinical import DEPARTMENTS
from .persons import person_name


@dataclass
class Staff:
    """Staff codes by what they do; `names` gives the name to a code."""

    names: dict[str, str] = field(default_factory=dict)
    departments: dict[str, str] = field(default_factory=dict)
    doctors: dict[str, list[str]] = field(default_factory=dict)
    nurses: list[str] = field(default_factory=list)
    pharmacists: list[str] = field(default_factory=list)
    technicians: list[str] = field(default_factory=list)
    laboratory_doctors: list[str] = field(default_factory=list)

    def hire(self, rng: random.Random, code: str, department: str) -> str:
        """Give a code to a new person of a department."""
        self.names[code] = person_name(rng, rng.choice("12"))
        self.departments[code] = department
        return code


# Departments that treat nobody themselves: dm_ks carries them beside the clinics.
SERVICES: dict[str, str] = {
    "8001": "门诊药房",
    "8002": "门诊护士站",
    "8101": "检验科",
    "8102": "医学影像科",
    "8103": "超声医学科",
}
WARDS: dict[str, tuple[str, str]] = {  # ward code: ward name, department name
    "B0304": ("心血管内科一病区", "心血管内科"),
    "B0301": ("呼吸与危重症医学科病区", "呼吸与危重症医学科"),
    "B0302": ("消化内科病区", "消化内科"),
    "B0303": ("神经内科二病区", "神经内科"),
    "B0401": ("普通外科一病区", "普通外科"),
    "B0403": ("骨科三病区", "骨科"),
    "B0502": ("产科病区", "产科"),
    "B0702": ("新生儿重症监护病区", "新生儿科"),
    "B2000": ("重症医学科", "重症医学科"),
    "B1900": ("肿瘤内科病区", "肿瘤科"),
}


def hire_staff(rng: random.Random) -> Staff:
    """The same staff for the same seed."""
    staff = Staff()
    for department in DEPARTMENTS.values():
        count = 3 + department.weight
        staff.doctors[department.code] = [
            staff.hire(rng, f"D{department.code}{n:02d}", department.code) for n in range(1, count + 1)
        ]
    staff.nurses = [staff.hire(rng, f"N8002{n:02d}", "8002") for n in range(1, 31)]
    staff.pharmacists = [staff.hire(rng, f"P8001{n:02d}", "8001") for n in range(1, 25)]
    staff.technicians = [staff.hire(rng, f"L8101{n:02d}", "8101") for n in range(1, 31)]
    staff.laboratory_doctors = [staff.hire(rng, f"L8101{n:02d}", "8101") for n in range(31, 43)]
    return staff
