using Dbt.Translator.Emit;
using Dbt.Translator.Memory;

namespace Dbt.Perf.Benchmarks;

/// <summary>A region of so many instructions out of our own guest's code, to be emitted again and again.</summary>
internal sealed unsafe class GuestRegions : IDisposable
{
    /// <summary>The tiers.</summary>
    public EmitTarget Quick { get; } = new(Optimize: false, Link: true, Counts: false);

    /// <inheritdoc cref="Quick"/>
    public EmitTarget Optimized { get; } = new(Optimize: true, Link: true, Counts: false);

    private const uint Base = 0x100000;
    private readonly FlatPlatform _platform = new();
    private readonly Region _region;

    /// <param name="instructions">Guest instructions.</param>
    public GuestRegions(int instructions)
    {
        var code = GuestCode.Load();
        code.Text.CopyTo(new Span<byte>(_platform.Memory + Base, code.Text.Length));
        uint end = Base + (uint)code.Text.Length;
        for (uint page = Base; page < end; page += 0x1000)
        {
            _platform.TryResolve(_platform.Cpu, page, MemoryAccess.Execute, user: true, out _, out _);
        }

        // Of those that have so many, one of middling size: padding is code too.
        var builder = new RegionBuilder(_platform.Cpu, _ => { }, nativeFloatingPoint: true);
        Region[] regions = [.. code.Functions.Select(function => builder.BuildRegion(Base + function, _platform.Cpu->Mode, instructions, (eip, _) => eip >= Base && eip < end, _ => []))
            .OfType<Region>().Where(region => region.InstructionCount == instructions).OrderBy(region => RegionEmitter.Emit(region, Optimized).IlBytes)];
        _region = regions[regions.Length / 2];
    }

    /// <summary>Writes its IL.</summary>
    public EmittedRegion Emit(EmitTarget target) => RegionEmitter.Emit(_region, target);

    /// <inheritdoc/>
    public void Dispose() => _platform.Dispose();
}
