namespace Dbt.Xen.Builder;

/// <summary>A request that <see cref="DomainBuilder.Prepare"/> found good; it may be built any number of times.</summary>
public abstract class DomainPlan
{
    private protected DomainPlan()
    {
    }

    /// <summary>Builds an empty domain up to where its first processor can be started.</summary>
    internal abstract void Build(Domain domain);
}

/// <summary>A paravirtual guest that was found good.</summary>
internal sealed class PvPlan(BuildRequest request, KernelImage kernel, StartOfDayLayout layout, byte[] commandLine) : DomainPlan
{
    public BuildRequest Request => request;

    public KernelImage Kernel => kernel;

    public StartOfDayLayout Layout => layout;

    public byte[] CommandLine => commandLine;

    /// <inheritdoc/>
    internal override void Build(Domain domain) => DomainBuilder.Build(domain, this);
}
