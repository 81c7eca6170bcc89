namespace Dbt.Xen.Builder;

/// <summary>A request that <see cref="DomainBuilder.Prepare"/> found good; it may be built any number of times.</summary>
public sealed class DomainPlan
{
    internal DomainPlan(BuildRequest request, KernelImage kernel, StartOfDayLayout layout, byte[] commandLine)
    {
        Request = request;
        Kernel = kernel;
        Layout = layout;
        CommandLine = commandLine;
    }

    internal BuildRequest Request { get; }

    internal KernelImage Kernel { get; }

    internal StartOfDayLayout Layout { get; }

    internal byte[] CommandLine { get; }
}
