using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Regions whose pages are not mapped as they were, or not looked up yet.</summary>
internal sealed unsafe partial class Dispatcher
{
    private const int RemapsUntilDrop = 64;

    // What had been retired when pages were last found mapped: nothing since means that looking them up did not help.
    private ulong _mappedAt;

    /// <summary>A translation has found its pages mapped otherwise than they were, or not looked up. ExitInfo says which one.</summary>
    private void OnRemapped(CpuState* cpu)
    {
        Translation left = _instances.TranslationOf(cpu->ExitInfo);
        if (!TryFind(cpu, out CodeBlock? block))
        {
            _platform.DeliverFault(cpu);
            return;
        }

        if (left.Entries.Find(entry => entry.Eip == cpu->Eip) is not { } entry || entry.Host != block.Host)
        {
            // Other code is there now: a link or the jump table has led to what was there before.
            _jumpMissed = true;
            return;
        }

        // After a switch of address spaces most often nobody has looked the pages up yet.
        ulong retired = cpu->RetiredOptimized + cpu->RetiredQuick + cpu->RetiredInterpreted;
        if (retired != _mappedAt && ArePagesMapped(cpu, left))
        {
            _mappedAt = retired;
            return;
        }

        if (++entry.Remaps % RemapsUntilDrop == 0)
        {
            _cache.Drop(left);
        }

        Interpret(cpu, block);
    }

    private bool ArePagesMapped(CpuState* cpu, Translation region)
    {
        foreach ((uint page, long entry) in region.Pages)
        {
            if (SoftwareTlb.ExecuteEntry(cpu, page) == 0)
            {
                _platform.LookAhead(cpu, page);
            }

            if (SoftwareTlb.ExecuteEntry(cpu, page) != entry)
            {
                return false;
            }
        }

        return true;
    }
}
