using Dbt.Translator.Cache;
using Dbt.Translator.State;

namespace Dbt.Translator;

/// <summary>All engines: one dispatcher, and a policy that says which tiers there are.</summary>
internal sealed unsafe class TranslatingEngine(EngineOptions options, Platform platform, CpuState* cpu) : Engine
{
    private readonly Dispatcher _dispatcher = new(platform, cpu, TierPolicy.Of(options));
    private readonly CpuState* _cpu = cpu;

    /// <inheritdoc/>
    public override EngineStatistics Statistics => _dispatcher.Statistics;

    /// <inheritdoc/>
    public override void Run(CpuState* cpu)
    {
        if (cpu != _cpu)
        {
            throw new ArgumentException("An engine runs the processor that it was made for.", nameof(cpu));
        }

        _dispatcher.Run();
    }

    /// <inheritdoc/>
    public override void UsePause() => _dispatcher.UsePause();

    /// <inheritdoc/>
    public override Diagnostics.BlockListing? List(uint eip) => _dispatcher.List(eip);

    /// <inheritdoc/>
    public override HotCode? ListHot() => _dispatcher.ListHot();

    /// <inheritdoc/>
    public override void Warm(HotCode code) => _dispatcher.Warm(code);

    /// <inheritdoc/>
    public override void Dispose() => _dispatcher.Dispose();
}
