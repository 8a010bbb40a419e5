# Takes the front-end machine away. NOT TESTED: see docs/guide/windows.en.md.
#
#   .\uninstall.ps1            the service, the program, the firewall rules; configuration and state stay
#   .\uninstall.ps1 -Purge     those, too: documents that were not delivered are lost
#Requires -RunAsAdministrator
param([switch] $Purge)
$ErrorActionPreference = "Stop"
$program = Join-Path $env:ProgramFiles "frontend-agent"
$data = Join-Path $env:ProgramData "frontend-agent"
$service = "FrontendAgent"

if (Get-Service -Name $service -ErrorAction SilentlyContinue) {
    Stop-Service -Name $service
    & (Join-Path $program "Scripts\python.exe") (Join-Path $program "service.py") remove | Out-Null
    if ($LASTEXITCODE) { throw "The service could not be removed" }
}
Get-NetFirewallRule -Group $service -ErrorAction SilentlyContinue | Remove-NetFirewallRule
if (Test-Path -Path $program) { Remove-Item -Path $program -Recurse -Force }
if ($Purge) {
    if (Test-Path -Path $data) { Remove-Item -Path $data -Recurse -Force }
    Remove-LocalGroup -Name "frontend-agent" -ErrorAction SilentlyContinue
    Write-Host "Everything was taken away."
}
else {
    Write-Host "Configuration, state and undelivered documents stay in $data."
}
