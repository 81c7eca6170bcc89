using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Where code goes on that was left for accesses that it checks together.</summary>
internal sealed unsafe partial class Dispatcher
{
    // A frame or an object that lies across pages is used again and again, or never.
    private const int ApartThreshold = 32;

    /// <summary>Where code was left because of what it checks together, though the access itself could be made: the translation that checks each by itself, once there is one.</summary>
    private CodeBlock? LeftForSpan(CpuState* cpu, in ExitSite site)
    {
        if (site.Kind != SideExitKind.Span && !(site.Kind == SideExitKind.Memory && IsReadable(cpu, site.Memory)))
        {
            return null;
        }

        cpu->Eip = site.Eip;
        if (FindApart(cpu) is not { } apart)
        {
            return null;
        }

        CountRetired(cpu, site);
        _counters.Count(cpu, _platform.CodeMap, site);
        return apart;
    }

    /// <summary>Whether a read could have gone on by itself: what it was checked together with wants more.</summary>
    private static bool IsReadable(CpuState* cpu, in MemorySite site)
    {
        uint linear = site.Linear(cpu);
        return site is { Write: false, Size: not MemorySite.Elsewhere } && !site.Crosses(linear) && SoftwareTlb.Entry(cpu, linear >> 12, MemoryAccess.Read) != 0;
    }

    /// <summary>The translation from EIP on in which each access is checked by itself, made where it has been wanted a few times.</summary>
    private CodeBlock? FindApart(CpuState* cpu)
    {
        if (!_interpreter.TryFetch(cpu, out byte* host))
        {
            return null;
        }

        CodeBlock block = _cache.Get((nint)host, cpu->Eip, cpu->Mode | CpuMode.Apart);
        if (block.Function == 0 && block.Executions >= block.NextLookUp && TryTakeOver(block, block.Executions))
        {
            // It may be on its way to the compiler only.
            return block.Function != 0 ? block : null;
        }

        if (block.Function == 0 && !block.RegionPending && ++block.Executions >= ApartThreshold && _cache.IsWorthTranslating(block.Host))
        {
            block.Executions = 0;
            cpu->Doing = (int)ProcessorActivity.Compiling;
            if (_policy is { Quick: true, OptimizeThreshold: 0 })
            {
                MakeQuick(block);
            }
            else
            {
                Optimize(block, _queue is not null);
            }
        }

        return block.Function != 0 ? block : null;
    }
}
