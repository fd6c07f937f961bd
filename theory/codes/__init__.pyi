from ._code import Code as Code
from ._code import Coherence as Coherence
from ._construct import construct as construct
from ._verify_code import verify_code as verify_code
