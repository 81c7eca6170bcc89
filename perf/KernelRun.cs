using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Perf;

/// <summary>A program on an engine of its own, run again and again.</summary>
internal sealed unsafe class KernelRun : IDisposable
{
    /// <summary>Where programs lie.</summary>
    public const uint Entry = 0x10000;

    private const uint Stack = 0x1F0000;
    private readonly FlatPlatform _platform = new();
    private readonly Engine _engine;

    /// <param name="code">The program; INT 0x20 ends it.</param>
    /// <param name="options">The engine.</param>
    public KernelRun(Action<Assembler> code, EngineOptions options)
    {
        _platform.Assemble(Entry, code);
        _engine = EngineFactory.Create(options, _platform, _platform.Cpu);
    }

    /// <summary>Counters of the engine so far.</summary>
    public EngineStatistics Statistics => _engine.Statistics;

    /// <summary>Guest instructions so far, of all tiers.</summary>
    public ulong Instructions => _platform.Cpu->RetiredInterpreted + _platform.Cpu->RetiredQuick + _platform.Cpu->RetiredOptimized;

    /// <summary>Runs it once.</summary>
    /// <param name="work">ECX at the start: how much to do.</param>
    /// <returns>EAX at its end.</returns>
    public uint Once(uint work)
    {
        CpuState* cpu = _platform.Cpu;
        cpu->Eip = Entry;
        cpu->Gpr[(int)Gpr.Ecx] = work;
        cpu->Gpr[(int)Gpr.Esp] = Stack;
        _engine.Run(cpu);
        return cpu->Gpr[(int)Gpr.Eax];
    }

    /// <summary>Empties the software TLB.</summary>
    public void DropTranslations() => _platform.DropTranslations();

    /// <inheritdoc/>
    public void Dispose()
    {
        _engine.Dispose();
        _platform.Dispose();
    }
}
