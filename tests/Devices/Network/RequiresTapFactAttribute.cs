using Dbt.Devices.Network.Tap;
using Dbt.Runtime;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Devices.Network;

/// <summary>A fact that makes TAP devices and network namespaces, which takes root's rights; says so where they can't be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresTapFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> WhyNotHere = new(static () =>
    {
        if (Tool.Find("ip") is null || Tool.Find("ping") is null)
        {
            return "this machine has no ip, or no ping";
        }

        try
        {
            TapDevice.Open("dbtprobe%d").Dispose();
            using var probe = new HostNamespace();
            return probe.WhyNot;
        }
        catch (HostException error)
        {
            return error.Message;
        }
    });

    public RequiresTapFactAttribute() => Skip = WhyNotHere.Value;
}
