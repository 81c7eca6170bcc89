using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Regions whose pages are not mapped as they were, or not looked up yet.</summary>
internal sealed unsafe partial class Dispatcher
{
    private const int RemapsUntilDrop = 64;

    // What had been retired when pages were last found mapped: nothing since means that looking them up did not help.
    private ulong _mappedAt;

    private void OnRemapped(CpuState* cpu, CodeBlock called)
    {
        if (!TryFind(cpu, out CodeBlock? block))
        {
            _platform.DeliverFault(cpu);
            return;
        }

        // The one that was called, or one that it has gone on to; of two kinds the better, as both have the same pages.
        CodeBlock left = called.Eip == cpu->Eip ? called : InWindow(cpu, block) && block.Windowed is { Region: not null } windowed ? windowed : block;
        if (left.Region is { } region)
        {
            // After a switch of address spaces most often nobody has looked the pages up yet.
            ulong retired = cpu->RetiredOptimized + cpu->RetiredQuick + cpu->RetiredInterpreted;
            if (retired != _mappedAt && ArePagesMapped(cpu, region))
            {
                _mappedAt = retired;
                return;
            }

            if (++left.Remaps % RemapsUntilDrop == 0)
            {
                _cache.Drop(region);
            }
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
