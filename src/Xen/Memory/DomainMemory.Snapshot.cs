using Dbt.Translator.Memory;
using Dbt.Xen.Hvm;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Memory;

/// <content>
/// Going on elsewhere. A guest's pages are known by their number: an auto-translated domain's by the guest frame, a paravirtual one's by the machine
/// frame, which it has in its own tables and which must be free where it goes on. Page types are not saved: they follow from the pinned tables and the
/// processors' base pointers, by the same validation as ever. A paravirtual guest that suspended itself gets any frames; while it is made
/// (<see cref="Relocation"/>) its pages go by the frames that they had.
/// </content>
public sealed unsafe partial class DomainMemory
{
    // Numbers of one section: a paravirtual guest's frames (four bytes each), runs of guest frames, or pins.
    private const uint FramesInSection = 1 << 17;
    private const int RunsInSection = 1 << 17, PinsInSection = 1 << 17;
    private const int MostSections = 512;

    /// <summary>Where the pages of a suspended paravirtual guest go while it is made again; null for all others, and afterwards.</summary>
    internal FrameRelocation? Relocation { get; set; }

    /// <summary>The machine frame here of a page by the frame that it had; 0 for none of the guest's.</summary>
    internal uint Relocated(uint mfn) => Relocation is { } relocation ? relocation.Numbers[mfn] : mfn;

    /// <summary>Whether a frame of the guest's is used as nothing yet.</summary>
    internal bool IsUntyped(uint mfn) => PageInfo.CountOf(Volatile.Read(ref _frames[mfn].TypeInfo)) == 0;

    /// <summary>Whether a frame of the guest's is no more than data to it: nothing yet, or mapped writable.</summary>
    internal bool IsPlain(uint mfn) => IsUntyped(mfn) || _frames.TypeOf(mfn) == PageType.Writable;

    /// <summary>
    /// The pages that the guest has now, in the order of their numbers; those of the hypervisor's that it shares left out. Any thread; what changes
    /// meanwhile is in it or not.
    /// </summary>
    internal List<GuestPage> ListPages()
    {
        var pages = new List<GuestPage>((int)PageCount);
        if (Domain.Hvm is { } hvm)
        {
            for (uint gfn = 0; gfn <= hvm.Physmap.Highest; gfn++)
            {
                if (hvm.Physmap[gfn] is uint mfn and not 0 && !IsHypervisorPage(mfn))
                {
                    pages.Add(new GuestPage(gfn, mfn));
                }
            }

            return pages;
        }

        if (Relocation is { } relocation)
        {
            return [.. relocation.Numbers.Pages()];
        }

        uint end = _machine.HighWater;
        for (uint mfn = 1; mfn < end; mfn++)
        {
            if (Owns(mfn) && !IsHypervisorPage(mfn))
            {
                pages.Add(new GuestPage(mfn, mfn));
            }
        }

        return pages;
    }

    /// <summary>The machine frame of a page by its number; 0 where the guest has none. Any thread.</summary>
    internal uint FindPage(uint number)
    {
        uint mfn = Domain.Hvm is { } hvm ? hvm.Physmap[number] : Relocated(number) is uint frame && Owns(frame) ? frame : 0;
        return mfn == 0 || IsHypervisorPage(mfn) ? 0 : mfn;
    }

    /// <summary>Gives the domain a zeroed page of a number.</summary>
    /// <returns>Its machine frame; 0 where it can't have one: too many, none such, or of a paravirtual guest one that isn't free.</returns>
    internal uint AddPageAt(uint number)
    {
        if (Domain.Hvm is { } hvm)
        {
            return number < Physmap.Count && hvm.Physmap[number] == 0 && TryPopulate(number) ? hvm.Physmap[number] : 0;
        }

        if (Relocation is { } relocation)
        {
            if (!FrameNumbers.IsPossible(number) || !TryAddPage(out uint mfn))
            {
                return 0;
            }

            relocation.Numbers.Set(number, mfn);
            return mfn;
        }

        if (Interlocked.Increment(ref _pageCount) > (long)MaxPages || !_machine.TryAllocateGiven(number))
        {
            Interlocked.Decrement(ref _pageCount);
            return 0;
        }

        _frames.Assign(number, Domain.Id);
        Domain.Hypervisor.MachineToPhys[number] = uint.MaxValue;
        return number;
    }

    /// <summary>Gives the domain pages whose contents are those of a file, copy-on-write, of numbers that have none. A paravirtual one's are told of later (<see cref="RestoreFrames"/>).</summary>
    /// <param name="file">The file; a page's place in it is its number.</param>
    /// <param name="number">The first.</param>
    /// <param name="count">How many; a power of two.</param>
    /// <returns>False where the domain may not have as many, or of such numbers, or the machine or the host can't.</returns>
    internal bool TryAddMapped(MemoryFile file, uint number, uint count)
    {
        FrameNumbers? numbers = Relocation?.Numbers;
        uint end = Domain.Hvm is not null ? Physmap.Count : numbers is not null && FrameNumbers.IsPossible(number) ? FrameNumbers.End : 0;
        if (number >= end || count > end - number)
        {
            return false;
        }

        if (Interlocked.Add(ref _pageCount, (int)count) > (long)MaxPages || !_machine.TryAllocateMapped(file, (ulong)number << 12, count, out uint mfn))
        {
            Interlocked.Add(ref _pageCount, -(int)count);
            return false;
        }

        lock (Lock)
        {
            for (uint i = 0; i < count; i++)
            {
                _frames.Assign(mfn + i, Domain.Id);
                Domain.Hvm?.Physmap.Set(number + i, mfn + i);
                Domain.Hypervisor.MachineToPhys[mfn + i] = uint.MaxValue;
                numbers?.Set(number + i, mfn + i);
            }
        }

        return true;
    }

    /// <summary>Takes a page away again that was not to be.</summary>
    internal void DropPage(in GuestPage page)
    {
        if (Domain.Hvm is not null)
        {
            _ = Depopulate([page.Number]);
        }
        else
        {
            Relocation?.Numbers.Set(page.Number, 0);
            _ = TryReleasePage(page.Mfn);
        }
    }

    /// <summary>As <see cref="TryAllocateHypervisorPage"/>, of a given frame, which the guest may map writable.</summary>
    internal bool TryAllocateHypervisorPageAt(uint mfn)
    {
        if (!_machine.TryAllocateGiven(mfn))
        {
            return false;
        }

        _frames.AssignHypervisorPage(mfn, Domain.Id, writable: true);
        Domain.Hypervisor.MachineToPhys[mfn] = uint.MaxValue;
        return true;
    }

    /// <summary>Gives back what waited for processors that are all outside now.</summary>
    internal void SettleHeld()
    {
        lock (Lock)
        {
            _grace.Finish();
        }
    }

    /// <summary>Writes which pages there are. Instance 0 says in how many sections, and which pages the guest gave up but uses still.</summary>
    internal void CaptureFrames(StateWriter writer)
    {
        bool pv = Domain.Hvm is null;
        PageRuns runs = ListRuns(out uint[] released);
        var starts = new List<int>();
        for (int next = 0; next < runs.Count;)
        {
            starts.Add(next);
            uint frames = 0;
            for (int first = next; next < runs.Count && next - first < RunsInSection && (next == first || frames < FramesInSection); next++)
            {
                frames += pv ? runs.Length(next) : 0;
            }
        }

        writer.Section(SectionType.Frames, section =>
        {
            section.UInt32((uint)starts.Count);
            section.UInt32((uint)released.Length);
            Array.ForEach(released, section.UInt32);
        });
        for (int i = 0; i < starts.Count; i++)
        {
            int first = starts[i], end = i + 1 < starts.Count ? starts[i + 1] : runs.Count;
            writer.Section(SectionType.Frames, (uint)i + 1, section => WriteRuns(section, runs, first, end, pv));
        }
    }

    /// <summary>Has the domain have these pages and no others: what is missing is zero.</summary>
    /// <returns>Frames of a paravirtual guest that it had given up but used still; <see cref="ReleaseGivenUp"/> is for when all that uses them is there.</returns>
    internal uint[] RestoreFrames(StateReader state)
    {
        SectionReader summary = state.Take(SectionType.Frames);
        uint sections = summary.UInt32(0, MostSections, "the number of sections");
        uint[] released = new uint[summary.Count(1 << 20, sizeof(uint), "pages given up")];
        foreach (ref uint mfn in released.AsSpan())
        {
            mfn = Relocated(summary.UInt32());
        }

        summary.End();
        var wanted = new PageRuns(FramesInSection);
        for (uint i = 1; i <= sections; i++)
        {
            ReadRuns(state.Take(SectionType.Frames, i), wanted);
        }

        // All that are wanted are there. A guest is held while this goes on, so nobody looks for others where there are none.
        if (wanted.Total != PageCount)
        {
            DropOthers(wanted);
        }

        return Domain.Hvm is null ? released : [];
    }

    private void DropOthers(PageRuns wanted)
    {
        // Both are in the order of their numbers.
        int run = 0;
        foreach (GuestPage page in ListPages())
        {
            while (run < wanted.Count && wanted.End(run) <= page.Number)
            {
                run++;
            }

            if (run == wanted.Count || page.Number < wanted.First(run))
            {
                DropPage(page);
            }
        }
    }

    /// <summary>The guest gave these frames up: each stays only as long as something uses it.</summary>
    internal void ReleaseGivenUp(uint[] frames)
    {
        foreach (uint mfn in frames.Where(static mfn => mfn != 0))
        {
            _ = TryReleasePage(mfn);
        }
    }

    /// <summary>Writes the pinned page tables of a paravirtual guest.</summary>
    internal void CapturePins(StateWriter writer)
    {
        var pins = new List<(uint Mfn, PageType Type)>();
        foreach (GuestPage page in ListPages())
        {
            ulong type = _frames[page.Mfn].TypeInfo;
            if ((type & PageInfo.Pinned) != 0)
            {
                pins.Add((page.Mfn, PageInfo.TypeOf(type)));
            }
        }

        int sections = (pins.Count + PinsInSection - 1) / PinsInSection;
        writer.Section(SectionType.PageTables, section => section.UInt32((uint)sections));
        for (int i = 0; i < sections; i++)
        {
            List<(uint Mfn, PageType Type)> part = pins.GetRange(i * PinsInSection, Math.Min(PinsInSection, pins.Count - (i * PinsInSection)));
            writer.Section(SectionType.PageTables, (uint)i + 1, section =>
            {
                section.UInt32((uint)part.Count);
                part.ForEach(pin =>
                {
                    section.UInt32(pin.Mfn);
                    section.Byte((byte)pin.Type);
                });
            });
        }
    }

    /// <summary>
    /// Pins them, with all checks. One that leads to another by a linear mapping can be pinned only after it, so what fails is tried again as long as
    /// anything succeeds.
    /// </summary>
    internal void RestorePins(StateReader state)
    {
        SectionReader summary = state.Take(SectionType.PageTables);
        uint sections = summary.UInt32(0, MostSections, "the number of sections");
        summary.End();
        var left = new List<(uint Mfn, PageType Type)>();
        for (uint i = 1; i <= sections; i++)
        {
            SectionReader section = state.Take(SectionType.PageTables, i);
            int count = section.Count(PinsInSection, 5, "pinned tables");
            for (int pin = 0; pin < count; pin++)
            {
                uint mfn = Relocated(section.UInt32());
                var type = (PageType)section.Byte();
                left.Add(type is PageType.L1 or PageType.L2 or PageType.L3 ? (mfn, type) : throw section.Error("a pin is of no page table"));
            }

            section.End();
        }

        Relocation?.RewriteTables(left);

        // The roots first: one walk over all that they lead to.
        left.Sort(static (a, b) => b.Type.CompareTo(a.Type));
        const int rounds = 4;
        for (int round = 0; round < rounds && left.Count != 0; round++)
        {
            left.RemoveAll(pin => Pin(pin.Mfn, pin.Type) == 0);
        }

        if (left.Count != 0)
        {
            throw new SnapshotException($"saved state: {left.Count} page tables of the guest are not valid, the first of them frame {left[0].Mfn:x}");
        }
    }

    private bool IsHypervisorPage(uint mfn) => (Volatile.Read(ref _frames[mfn].References) & PageInfo.HypervisorPage) != 0;

    // As ListPages, but for a guest that is held meanwhile, and may have a million.
    private PageRuns ListRuns(out uint[] released)
    {
        var runs = new PageRuns(FramesInSection);
        var givenUp = new List<uint>();
        if (Domain.Hvm is { } hvm)
        {
            for (uint gfn = 0; gfn <= hvm.Physmap.Highest; gfn++)
            {
                if (hvm.Physmap[gfn] is uint mfn and not 0 && !IsHypervisorPage(mfn))
                {
                    runs.Add(gfn);
                }
            }
        }
        else
        {
            uint end = _machine.HighWater;
            for (uint mfn = 1; mfn < end; mfn++)
            {
                if (!Owns(mfn) || IsHypervisorPage(mfn))
                {
                    continue;
                }

                runs.Add(mfn);
                if ((_frames[mfn].References & PageInfo.Allocated) == 0)
                {
                    givenUp.Add(mfn);
                }
            }
        }

        released = [.. givenUp];
        return runs;
    }

    private void WriteRuns(SectionWriter section, PageRuns runs, int first, int end, bool pv)
    {
        section.UInt32((uint)(end - first));
        for (int run = first; run < end; run++)
        {
            section.UInt32(runs.First(run));
            section.UInt32(runs.Length(run));
            for (uint mfn = runs.First(run); pv && mfn < runs.End(run); mfn++)
            {
                section.UInt32(Domain.Hypervisor.MachineToPhys[mfn]);
            }
        }
    }

    /// <summary>Reads which pages a guest had.</summary>
    /// <param name="state">Its state, of which the sections are taken.</param>
    /// <param name="isTranslated">Of a paravirtual one it says too what each frame is to the guest, which is left out here.</param>
    internal static PageRuns ReadRuns(StateReader state, bool isTranslated)
    {
        SectionReader summary = state.Take(SectionType.Frames);
        uint sections = summary.UInt32(0, MostSections, "the number of sections");
        var runs = new PageRuns(FramesInSection);
        for (uint i = 1; i <= sections; i++)
        {
            SectionReader section = state.Take(SectionType.Frames, i);
            for (int left = section.Count(RunsInSection, 8, "runs of pages"); left > 0; left--)
            {
                ReadRun(section, runs);
                _ = section.Bytes(isTranslated ? 0 : (int)runs.Length(runs.Count - 1) * sizeof(uint));
            }

            section.End();
        }

        return runs;
    }

    private static void ReadRun(SectionReader section, PageRuns runs)
    {
        uint first = section.UInt32();
        if (!runs.TryAdd(first, section.UInt32(1, FramesInSection, "the length of a run")))
        {
            throw section.Error("runs of pages aren't in order");
        }
    }

    private void ReadRuns(SectionReader section, PageRuns wanted)
    {
        int runs = section.Count(RunsInSection, 8, "runs of pages");
        for (int run = 0; run < runs; run++)
        {
            ReadRun(section, wanted);
            for (uint number = wanted.First(wanted.Count - 1); number < wanted.End(wanted.Count - 1); number++)
            {
                uint pfn = Domain.Hvm is null ? section.UInt32() : 0;
                uint mfn = FindPage(number);
                mfn = mfn == 0 ? AddPageAt(number) : mfn;
                if (mfn == 0)
                {
                    throw section.Error(PageRefusal(number));
                }

                if (Domain.Hvm is null)
                {
                    Domain.Hypervisor.MachineToPhys[mfn] = pfn;
                }
            }
        }

        section.End();
    }

    /// <summary>Why a page of a number can't be had.</summary>
    internal string PageRefusal(uint number) =>
        PageCount >= MaxPages ? $"it has more pages than the {MaxPages} that it may have"
        : Domain.Hvm is not null ? $"guest frame {number:x} is none, is there twice, or the machine has no memory left"
        : Relocation is not null ? $"machine frame {number:x} is none, or the machine has no memory left"
        : $"machine frame {number:x} isn't free here, and a paravirtual guest knows its frames by number";
}
