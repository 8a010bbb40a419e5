# Installs the front-end machine as a Windows service, without a network. NOT TESTED: see docs/guide/windows.md.
#
#   .\install.ps1 -Python C:\Python311\python.exe -Wheels .\wheels
#
# -Wheels: a folder with the wheels of requirements.lock for win_amd64, frontend_agent-VERSION-py3-none-any.whl and pywin32.
param(
    [Parameter(Mandatory)] [string] $Python,
    [Parameter(Mandatory)] [string] $Wheels
)
$ErrorActionPreference = "Stop"
$home_ = "C:\Program Files\frontend-agent"
$data = "C:\ProgramData\frontend-agent"

& $Python -m venv $home_
$python_ = Join-Path $home_ "Scripts\python.exe"
# --no-deps: the folder holds everything, and nothing is looked for elsewhere.
& $python_ -m pip install --no-deps (Get-ChildItem $Wheels -Filter *.whl).FullName
if ($LASTEXITCODE) { throw "pip could not install from $Wheels" }
Copy-Item (Join-Path $PSScriptRoot "service.py") $home_

New-Item -ItemType Directory -Force $data, (Join-Path $data "state") | Out-Null
# Nobody but administrators and the service's own account: patients' documents lie here.
icacls $data /inheritance:r /grant "*S-1-5-32-544:(OI)(CI)F" "*S-1-5-18:(OI)(CI)F" "NT SERVICE\FrontendAgent:(OI)(CI)M" | Out-Null

& $python_ (Join-Path $home_ "service.py") --startup delayed install
sc.exe config FrontendAgent obj= "NT SERVICE\FrontendAgent" | Out-Null
sc.exe failure FrontendAgent reset= 86400 actions= restart/5000/restart/5000/restart/60000 | Out-Null
sc.exe failureflag FrontendAgent 1 | Out-Null
Write-Host "Installed. Write $data\agent.toml (frontend-agent init), then: Start-Service FrontendAgent"
