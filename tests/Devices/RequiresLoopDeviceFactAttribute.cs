using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Devices;

/// <summary>A fact that makes a loop device of the host, which takes root; says so where that can't be.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresLoopDeviceFactAttribute : FactAttribute
{
    public RequiresLoopDeviceFactAttribute() => Skip =
        !File.Exists("/dev/loop-control") ? "this machine has no /dev/loop-control"
        : !Environment.IsPrivilegedProcess ? "loop devices take root"
        : Tool.Find("losetup") is null ? "this machine has no losetup"
        : null;
}
