# Installs the front-end machine as a Windows service, without a network. NOT TESTED: see docs/guide/windows.en.md.
#
#   .\install.ps1 -Python C:\Python311\python.exe -Wheels .\wheels
#   .\install.ps1 -Python C:\Python311\python.exe -Wheels .\wheels -OpenPorts 2575,8490 -From 10.0.0.0/8
#
# -Python     Python 3.11, 3.12 or 3.13, installed for all users: the service's account has to read it
# -Wheels     a folder with the wheels of requirements.lock for win_amd64, frontend_agent-VERSION-py3-none-any.whl and pywin32
# -OpenPorts  ports on which others connect to this machine (HL7, DICOM, the console): a firewall rule for each, and for no other
# -From       from where they may connect; without it: from the subnets of this machine's cards
#
# Again over an older version: the service is stopped, the program is replaced, configuration and state stay.
#Requires -RunAsAdministrator
param(
    [Parameter(Mandatory)] [string] $Python,
    [Parameter(Mandatory)] [string] $Wheels,
    [int[]] $OpenPorts = @(),
    [string[]] $From = @("LocalSubnet")
)
$ErrorActionPreference = "Stop"
$program = Join-Path $env:ProgramFiles "frontend-agent"
$data = Join-Path $env:ProgramData "frontend-agent"
$service = "FrontendAgent"
$group = "frontend-agent"

function Invoke-Checked {
    param([string] $What, [string] $File, [string[]] $Arguments)
    & $File @Arguments | Out-Null
    if ($LASTEXITCODE) { throw "$What failed: $File ended with $LASTEXITCODE" }
}

$found = @(Get-ChildItem -Path $Wheels -Filter "*.whl")
foreach ($needed in "frontend_agent-*", "pywin32-*") {
    if (-not ($found | Where-Object Name -Like $needed)) { throw "$Wheels has no $needed.whl" }
}
if ((Get-Item -Path $env:ProgramData).PSDrive.DisplayRoot) {
    throw "$data is on a network share: SQLite's write-ahead log needs a local NTFS disk"
}

if (Get-Service -Name $service -ErrorAction SilentlyContinue) { Stop-Service -Name $service }

# The program: an environment of its own. --no-index, --no-deps: the folder holds everything, and nothing is looked for elsewhere.
Invoke-Checked "Making the environment" $Python @("-m", "venv", "--clear", $program)
$own = Join-Path $program "Scripts\python.exe"
Invoke-Checked "Installing" $own (@("-m", "pip", "install", "--no-index", "--no-deps") + $found.FullName)
Copy-Item -Path (Join-Path $PSScriptRoot "service.py"), (Join-Path $PSScriptRoot "uninstall.ps1") -Destination $program

# Who may ask the agent at the people's own door ([people] of agent.toml).
if (-not (Get-LocalGroup -Name $group -ErrorAction SilentlyContinue)) {
    New-LocalGroup -Name $group -Description "May ask the front-end machine" | Out-Null
}

# The service, under an account of its own that has no password and no other right.
Invoke-Checked "Registering the service" $own @((Join-Path $program "service.py"), "--startup", "delayed", "install")
Invoke-Checked "Setting its account" "sc.exe" @("config", $service, "obj=", "NT SERVICE\$service")
Invoke-Checked "Setting its identity" "sc.exe" @("sidtype", $service, "unrestricted")
# After a crash: at once, again after five seconds, then every minute. Also when it ends with an error (failureflag).
Invoke-Checked "Setting recovery" "sc.exe" @("failure", $service, "reset=", "86400", "actions=", "restart/1000/restart/5000/restart/60000")
Invoke-Checked "Setting recovery" "sc.exe" @("failureflag", $service, "1")
# Nothing but these rights, of all that a service could be given.
Invoke-Checked "Taking rights away" "sc.exe" @("privs", $service, "SeChangeNotifyPrivilege/SeImpersonatePrivilege")

# Nobody but administrators, the system and the service's account: patients' documents lie here.
New-Item -ItemType Directory -Force -Path $data, (Join-Path $data "state"), (Join-Path $data "people") | Out-Null
Invoke-Checked "Closing $data" "icacls.exe" @($data, "/inheritance:r", "/grant:r", "*S-1-5-32-544:(OI)(CI)F", "*S-1-5-18:(OI)(CI)F", "NT SERVICE\${service}:(OI)(CI)M")
# The people's door: who is of the group finds the name of the pipe, and agent.toml, which holds no secret.
Invoke-Checked "Opening the people's door" "icacls.exe" @($data, "/grant", "${group}:(RX)")
Invoke-Checked "Opening the people's door" "icacls.exe" @((Join-Path $data "people"), "/grant", "${group}:(OI)(CI)RX")

# Other machines connect where it is said, and nowhere else.
Get-NetFirewallRule -Group $service -ErrorAction SilentlyContinue | Remove-NetFirewallRule
foreach ($port in $OpenPorts) {
    New-NetFirewallRule -DisplayName "Front-end machine, port $port" -Group $service -Direction Inbound -Action Allow -Protocol TCP -LocalPort $port -RemoteAddress $From -Program $Python | Out-Null
}

# A memory dump of the agent would hold patients and passwords.
$reports = "HKLM:\SOFTWARE\Microsoft\Windows\Windows Error Reporting\ExcludedApplications"
New-Item -Path $reports -Force | Out-Null
Set-ItemProperty -Path $reports -Name "python.exe" -Value 1 -Type DWord

Write-Host "Installed. Next:"
Write-Host "  & '$program\Scripts\frontend-agent.exe' --config '$data\agent.toml' init"
Write-Host "  & '$program\Scripts\frontend-agent.exe' --config '$data\agent.toml' check"
Write-Host "  Start-Service $service"
