using Dbt.Runtime.Memory;
using Dbt.Translator.Cache;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// Which code a guest's processors have run, by the numbers of its pages, for a host to which it goes: that has it decoded, and its regions taken over, before the guest is held. What it says is
/// a wish, and nobody's state: a list that isn't there, or is old, costs time.
/// </summary>
public static unsafe class HotCodeList
{
    private const int MostBlocks = 1 << 16, BlockBytes = 12, RegionBytes = 12, PageBytes = 8, MostPages = 256;

    /// <summary>Writes the lists of all processors. Each is held for a moment.</summary>
    public static void Capture(Domain domain, SectionWriter writer)
    {
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            HotCode? code;
            vcpu.Pause();
            try
            {
                code = vcpu.ListHot();
            }
            finally
            {
                vcpu.Resume();
            }

            if (code is not null)
            {
                Capture(domain, (uint)vcpu.Id, code, writer);
            }
        }
    }

    /// <summary>Has a domain's processors make ready what <see cref="Capture(Domain, SectionWriter)"/> wrote, as far as its pages are there. They were prepared, and haven't started.</summary>
    /// <returns>Completes when they have.</returns>
    /// <exception cref="SnapshotException">It is what was never written.</exception>
    public static Task Apply(Domain domain, SectionReader reader)
    {
        var done = new List<Task>();
        while (reader.Left != 0)
        {
            Vcpu vcpu = domain.Vcpus[(int)reader.UInt32(0, (uint)domain.Vcpus.Count - 1, "a processor")];
            done.Add(vcpu.Warm(Read(domain, reader)));
        }

        return Task.WhenAll(done);
    }

    private static void Capture(Domain domain, uint vcpu, HotCode code, SectionWriter writer)
    {
        MachineMemory machine = domain.Hypervisor.Machine;
        writer.UInt32(vcpu);
        writer.UInt32((uint)Math.Min(code.Regions.Count, MostBlocks));
        foreach (HotRegion region in code.Regions.Take(MostBlocks))
        {
            writer.UInt32(region.Eip);
            writer.UInt32(region.Mode);
            writer.UInt32((uint)Math.Min(region.Pages.Count, MostPages));
            foreach ((uint page, nint host) in region.Pages.Take(MostPages))
            {
                writer.UInt32(page);
                writer.UInt32(NumberOf(host));
            }
        }

        writer.UInt32((uint)Math.Min(code.Blocks.Count, MostBlocks));
        foreach (HotBlock block in code.Blocks.Take(MostBlocks))
        {
            writer.UInt32(block.Eip);
            writer.UInt32(block.Mode);
            writer.UInt32(NumberOf(block.Host));
        }

        uint NumberOf(nint host) => domain.GuestFrameOf(machine.FrameOf((byte*)host));
    }

    private static HotCode Read(Domain domain, SectionReader reader)
    {
        var regions = new List<HotRegion>();
        for (int left = reader.Count(MostBlocks, RegionBytes, "regions"); left != 0; left--)
        {
            uint eip = reader.UInt32(), mode = reader.UInt32();
            var pages = new List<(uint, nint)>();
            for (int page = reader.Count(MostPages, PageBytes, "pages of a region"); page != 0; page--)
            {
                (uint linear, nint host) = (reader.UInt32(0, uint.MaxValue >> 12, "a linear page"), Find(reader.UInt32()));
                if (host != 0)
                {
                    pages.Add((linear, host));
                }
            }

            regions.Add(new HotRegion(eip, mode, pages));
        }

        var blocks = new List<HotBlock>();
        for (int left = reader.Count(MostBlocks, BlockBytes, "blocks"); left != 0; left--)
        {
            uint eip = reader.UInt32(), mode = reader.UInt32();
            nint host = Find(reader.UInt32());
            if (host != 0)
            {
                blocks.Add(new HotBlock(host + (nint)(eip & (Layout.PageSize - 1)), eip, mode));
            }
        }

        return new HotCode(blocks, regions);

        nint Find(uint number) => DomainState.FindPage(domain, number) is var mfn and not 0 ? (nint)domain.Hypervisor.Machine.Frame(mfn) : 0;
    }
}
