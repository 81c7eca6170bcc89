using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>Linear addresses: the software TLB over the page tables.</summary>
public abstract unsafe partial class NativePlatform
{
    private readonly RecentSpaces _recent = new();
    private readonly SpaceWindows _windows;
    private readonly List<uint> _gone = [];

    private const int LargeShift = 21;

    // Reads and writes of ring 3, in UsedPage.Kinds.
    private const byte UserData = 0b011 << RecentSpaces.UserShift;

    /// <summary>
    /// Held while an entry is filled and while another processor's thread drops entries: a write entry is then never filled for a frame
    /// that has just been protected.
    /// </summary>
    protected Lock TlbLock { get; } = new();

    /// <inheritdoc/>
    public override bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        host = null;
        if (!_system.Paging.TryTranslate(cpu, linear, access, user, out Translation found, out error))
        {
            return false;
        }

        byte* page = PhysicalPage(found.Physical >> 12, access == MemoryAccess.Write);
        if (page == null && access == MemoryAccess.Execute)
        {
            Stop(cpu, $"code fetched where there is no memory: {found.Physical:x8}");
            return false;
        }

        if (page == null)
        {
            // The whole access must lie in the page, so the window is as long as one.
            host = _device.Open(cpu, found.Physical, access);
            return true;
        }

        host = page + (linear & 0xFFF);
        if (found.IsLarge)
        {
            NoteLarge(cpu, linear);
        }

        lock (TlbLock)
        {
            bool logs = CodeMap.Dirty.IsOn;
            if (logs && access == MemoryAccess.Write)
            {
                CodeMap.Dirty.Mark(FrameOf(page));
            }

            if (access != MemoryAccess.Write || !CodeMap.HasCode(page))
            {
                Fill(linear >> 12, access, user, page, found.IsGlobal);
            }

            // What else the walk has shown to be allowed: the access that comes next is often of the other kind.
            if (access != MemoryAccess.Read)
            {
                Fill(linear >> 12, MemoryAccess.Read, user, page, found.IsGlobal);
            }

            if (access == MemoryAccess.Read && found.AllowsWrite && !logs && !CodeMap.HasCode(page))
            {
                Fill(linear >> 12, MemoryAccess.Write, user, page, found.IsGlobal);
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public override SoftwareTlb? WindowedTlb(CpuState* cpu) => _tlb;

    /// <inheritdoc/>
    internal override IWindowSpaces? WindowSpaces => _windows;

    private void Fill(uint page, MemoryAccess access, bool user, byte* host, bool isGlobal)
    {
        _tlb.Set(page, access, user, host, isGlobal);
        if (!isGlobal)
        {
            _recent.Note(page, access, user);
        }
    }

    /// <inheritdoc/>
    internal override void LookAhead(CpuState* cpu, uint page)
    {
        // A fetch from where there is no memory stops the processor, but this is none.
        bool user = (cpu->Mode & CpuMode.User) != 0;
        if (_system.Paging.TryTranslate(cpu, page << 12, MemoryAccess.Execute, user, out Translation found, out _)
            && PhysicalPage(found.Physical >> 12, false) != null)
        {
            base.LookAhead(cpu, page);
        }
    }

    /// <inheritdoc/>
    /// <remarks>With several processors the owner calls <see cref="DropWritesTo"/> of each instead.</remarks>
    public override void ProtectCode(uint frame) => DropWritesTo(frame);

    /// <summary>Drops this processor's write entries to a frame of the code map. Any thread.</summary>
    public void DropWritesTo(uint frame)
    {
        lock (TlbLock)
        {
            _tlb.DropWritesTo(Cpu->MemoryBase + ((nuint)frame << 12));
        }
    }

    /// <summary>Drops all of this processor's write entries, so that <see cref="DirtyLog"/> is told of the next write to each page. Any thread.</summary>
    public void DropWrites()
    {
        lock (TlbLock)
        {
            if (_tlb.Root != 0)
            {
                _tlb.DropWrites();
            }
        }
    }

    /// <summary>Writes need not be told any longer: ends what <see cref="DropWrites"/> began. Any thread.</summary>
    public void ForgetWrites()
    {
        lock (TlbLock)
        {
            _tlb.ForgetWrites();
        }
    }

    /// <summary>Drops every entry: for the owner, where it has changed what a physical page is. On the processor's thread.</summary>
    public void FlushAll()
    {
        lock (TlbLock)
        {
            _tlb.Clear();
        }

        Array.Clear(_largeRegions);
    }

    /// <summary>MOV to CR3: drops all but global pages, and fills those that were used in this address space when it was left.</summary>
    internal void FlushLocal(CpuState* cpu)
    {
        lock (TlbLock)
        {
            AddressWindow? window = _windows.Switch(cpu, _tlb.Window);
            _tlb.Window = null;
            cpu->Window = 0;
            _tlb.ClearLocal();
            if (_system.Paging.CanProbe(cpu))
            {
                Refill(cpu);
            }

            GoOnBy(cpu, window);
        }
    }

    /// <inheritdoc/>
    internal override void ResumeWindow(CpuState* cpu, bool always)
    {
        lock (TlbLock)
        {
            GoOnBy(cpu, _windows.Resume(cpu, always));
        }
    }

    private void GoOnBy(CpuState* cpu, AddressWindow? window)
    {
        if (window is not null)
        {
            Retain(cpu, window);
            _tlb.Window = window;
            cpu->Window = window.IsUsed ? window.Base : 0;
        }
    }

    /// <summary>Keeps those pages of a window that are still mapped as they were, by walks as in <see cref="Refill"/>. Under the lock.</summary>
    private void Retain(CpuState* cpu, AddressWindow window)
    {
        bool logs = CodeMap.Dirty.IsOn, probes = _system.Paging.CanProbe(cpu);
        _gone.Clear();
        foreach (WindowPage mapped in window.Pages)
        {
            uint linear = mapped.Page << 12;
            if (!probes || !_system.Paging.TryProbe(cpu, linear, out Probe probe) || probe.IsGlobal || !Paging.Permits(cpu, probe, MemoryAccess.Read, user: true)
                || (nint)PhysicalPage(probe.Physical >> 12, false) != mapped.Host
                || (mapped.Write && (!probe.IsDirty || logs || CodeMap.HasCode((byte*)mapped.Host) || !Paging.Permits(cpu, probe, MemoryAccess.Write, user: true))))
            {
                _gone.Add(mapped.Page);
                continue;
            }

            if (probe.IsLarge)
            {
                NoteLarge(cpu, linear);
            }

            _tlb.Set(mapped.Page, MemoryAccess.Read, user: true, (byte*)mapped.Host);
            if (mapped.Write)
            {
                _tlb.Set(mapped.Page, MemoryAccess.Write, user: true, (byte*)mapped.Host);
            }
        }

        if (_gone.Count > window.Pages.Length / 2)
        {
            // The tables are another program's now.
            window.Retire();
            _windows.Restart(cpu);
            return;
        }

        _gone.ForEach(window.Hide);
    }

    /// <summary>
    /// Walks that nobody has asked for, as a processor may make them at any time (SDM vol. 3, 4.10.2.3): they set no accessed or dirty bit, so what lacks one is left for the access itself. Under
    /// the lock.
    /// </summary>
    private void Refill(CpuState* cpu)
    {
        bool logs = CodeMap.Dirty.IsOn;
        foreach (UsedPage used in _recent.Enter(cpu->Cr3))
        {
            Probe(cpu, used, logs);
        }
    }

    /// <summary>See <see cref="IWindowSpaces.LookAround"/>.</summary>
    internal void LookAround(CpuState* cpu, uint page)
    {
        if (!_system.Paging.CanProbe(cpu))
        {
            return;
        }

        lock (TlbLock)
        {
            bool logs = CodeMap.Dirty.IsOn;
            uint first = page & ~(uint)(AddressWindow.GroupPages - 1);
            for (uint at = first; at < first + AddressWindow.GroupPages; at++)
            {
                if (_tlb.Entry(at, MemoryAccess.Read, user: true) == 0)
                {
                    Probe(cpu, new UsedPage(at) { Kinds = UserData }, logs);
                }
            }
        }
    }

    private void Probe(CpuState* cpu, UsedPage used, bool logs)
    {
        uint linear = used.Page << 12;
        if (!_system.Paging.TryProbe(cpu, linear, out Probe probe) || probe.IsGlobal)
        {
            return;
        }

        byte* page = PhysicalPage(probe.Physical >> 12, false);
        if (page == null)
        {
            return;
        }

        if (probe.IsLarge)
        {
            NoteLarge(cpu, linear);
        }

        bool mayWrite = probe.IsDirty && !logs && !CodeMap.HasCode(page);
        for (int kind = 0; kind < 2 * RecentSpaces.UserShift; kind++)
        {
            bool user = kind >= RecentSpaces.UserShift;
            var access = (MemoryAccess)(user ? kind - RecentSpaces.UserShift : kind);
            if ((used.Kinds >> kind & 1) != 0 && (access != MemoryAccess.Write || mayWrite) && Paging.Permits(cpu, probe, access, user))
            {
                _tlb.Set(used.Page, access, user, page);
            }
        }
    }

    /// <summary>INVLPG: the page of an address, all of it where it is a large one.</summary>
    internal void FlushPage(CpuState* cpu, uint linear)
    {
        lock (TlbLock)
        {
            if (!_largeRegions[linear >> LargeShift])
            {
                _tlb.Drop(linear >> 12);
                return;
            }

            // Nothing of a large page is left then, until one is met there again.
            uint bytes = LargeBytes(cpu), first = linear & ~(bytes - 1);
            _tlb.DropRange(first >> 12, bytes >> 12);
            Array.Clear(_largeRegions, (int)(first >> LargeShift), (int)(bytes >> LargeShift));
        }
    }

    private void NoteLarge(CpuState* cpu, uint linear)
    {
        uint bytes = LargeBytes(cpu);
        Array.Fill(_largeRegions, true, (int)((linear & ~(bytes - 1)) >> LargeShift), (int)(bytes >> LargeShift));
    }

    private static uint LargeBytes(CpuState* cpu) => (cpu->Cr4 & ControlBits.Cr4Pae) != 0 ? 1u << LargeShift : 2u << LargeShift;

    /// <summary>A page that holds page tables: RAM, as its entries are also written.</summary>
    internal byte* Table(ulong frame) => PhysicalPage(frame, true);

    /// <summary>Tells the code map of bytes that the processor itself wrote.</summary>
    internal void Written(byte* host, int length)
    {
        if (CodeMap.HasCode(host))
        {
            Cpu->CodeChanged = 1;
            CodeMap.Written(host, length);
        }
        else if (CodeMap.Dirty.IsOn)
        {
            CodeMap.Written(host, length);
        }
    }

    private uint FrameOf(byte* host) => (uint)((ulong)(host - Cpu->MemoryBase) >> 12);
}
