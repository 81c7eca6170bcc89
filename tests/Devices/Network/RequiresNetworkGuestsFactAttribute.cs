using Dbt.Tests.Packages;

namespace Dbt.Tests.Devices.Network;

/// <summary>A fact that boots Debian's kernel to move data; only where DBT_NETWORK_GUESTS asks for it, as it takes a minute.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresNetworkGuestsFactAttribute : FactAttribute
{
    public RequiresNetworkGuestsFactAttribute() => Skip =
        Environment.GetEnvironmentVariable("DBT_NETWORK_GUESTS") is null ? "takes a minute; DBT_NETWORK_GUESTS=64 runs it with 64 MiB"
        : DebianFiles.WhyNot(DebianFiles.Kernel) ?? DebianFiles.WhyNot(DebianFiles.Busybox) ?? new RequiresTapFactAttribute().Skip;
}
