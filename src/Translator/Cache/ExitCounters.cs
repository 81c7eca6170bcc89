using Dbt.Translator.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>Counts side exits by reason, cheaply; names are made only when asked.</summary>
internal sealed unsafe class ExitCounters
{
    private readonly long[] _untranslated = new long[(int)Enum.GetValues<Mnemonic>().Max() + 1];
    private readonly long[] _kinds = new long[8];
    private long _missRead, _missWrite, _pageCross, _codeWrite;

    /// <summary>Counts an exit. Registers are as the exit left them.</summary>
    public void Count(CpuState* cpu, CodeMap codeMap, in ExitSite site)
    {
        if (site.Kind == SideExitKind.Untranslated)
        {
            _untranslated[(int)site.Mnemonic]++;
        }
        else if (site.Kind == SideExitKind.Memory)
        {
            CountMemory(cpu, codeMap, site.Memory);
        }
        else
        {
            _kinds[(int)site.Kind]++;
        }
    }

    /// <summary>Adds the counts by name.</summary>
    public void CopyTo(Dictionary<string, long> counts)
    {
        Put("tlb-miss-read", _missRead);
        Put("tlb-miss-write", _missWrite);
        Put("page-cross", _pageCross);
        Put("code-write", _codeWrite);
        Put("divide", _kinds[(int)SideExitKind.Divide]);
        Put("unaligned-lock", _kinds[(int)SideExitKind.Unaligned]);
        Put("span-cross", _kinds[(int)SideExitKind.Span]);
        Put("window-miss", _kinds[(int)SideExitKind.Window]);
        Put("rare", _kinds[(int)SideExitKind.Rare]);
        for (int i = 0; i < _untranslated.Length; i++)
        {
            Put("untranslated:", _untranslated[i], (Mnemonic)i);
        }

        void Put(string name, long count, Mnemonic? mnemonic = null)
        {
            if (count != 0)
            {
                counts[mnemonic is { } m ? name + m.ToString().ToLowerInvariant() : name] = count;
            }
        }
    }

    private void CountMemory(CpuState* cpu, CodeMap codeMap, in MemorySite site)
    {
        uint linear = site.Linear(cpu);
        if (site.Crosses(linear))
        {
            _pageCross++;
            return;
        }

        if (!site.Write)
        {
            _missRead++;
            return;
        }

        long read = *(long*)(cpu->Tlb + ((nint)(linear >> 12) * 8));
        if (read != 0 && codeMap.HasCode((byte*)(read + linear)))
        {
            _codeWrite++;
        }
        else
        {
            _missWrite++;
        }
    }
}
