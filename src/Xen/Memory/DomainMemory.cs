using Dbt.Runtime.Memory;
using Dbt.Translator.State;

namespace Dbt.Xen.Memory;

/// <summary>
/// A domain's frames: ownership, types and counts, page tables, and the address spaces' software TLBs. One lock holds for all page-table
/// work of the domain, whichever processor does it; counts on frames are atomic, because another domain may hold a grant to them.
/// </summary>
public sealed unsafe partial class DomainMemory : IDisposable
{
    private readonly MachineMemory _machine;
    private readonly FrameTable _frames;
    private readonly AddressSpaces _spaces;
    private readonly GracePeriod _grace;
    private int _pageCount;

    internal DomainMemory(Domain domain)
    {
        Domain = domain;
        _machine = domain.Hypervisor.Machine;
        _frames = domain.Hypervisor.Frames;
        _spaces = new AddressSpaces(_frames, _machine);
        _grace = new GracePeriod(domain, _frames);
        Tables = new PageTables(domain, _spaces, _grace);
    }

    /// <summary>The owner.</summary>
    public Domain Domain { get; }

    /// <summary>Frames owned now (tot_pages).</summary>
    public uint PageCount => (uint)Volatile.Read(ref _pageCount);

    /// <summary>Bytes of the host's memory that its software TLBs take; a translated domain's are its processors' own and not in it.</summary>
    internal long TlbBytes
    {
        get
        {
            lock (Lock)
            {
                return _spaces.Bytes;
            }
        }
    }

    /// <summary>Frames it may own (max_pages).</summary>
    public uint MaxPages { get; set; }

    /// <summary>The lock for page-table work. May be taken again by who holds it; no other domain's is taken under it.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>Page tables; used under <see cref="Lock"/>.</summary>
    internal PageTables Tables { get; }

    /// <summary>Gives the domain one more zeroed frame.</summary>
    /// <returns>False where <see cref="MaxPages"/> is reached or the machine is full.</returns>
    public bool TryAddPage(out uint mfn) => TryAddPages(0, uint.MaxValue, out mfn);

    /// <summary>Gives the domain 2^<paramref name="order"/> contiguous, aligned, zeroed frames.</summary>
    /// <param name="order">0 to <see cref="MachineMemory.MaxOrder"/>.</param>
    /// <param name="limit">All frames are below it.</param>
    /// <param name="mfn">The first.</param>
    /// <returns>False where <see cref="MaxPages"/> would be exceeded or the machine has no such block.</returns>
    public bool TryAddPages(int order, uint limit, out uint mfn)
    {
        int count = 1 << order;
        if (PageCount + (uint)count > MaxPages)
        {
            // Pages given back may wait for other processors.
            _ = TrySettle();
        }

        if (Interlocked.Add(ref _pageCount, count) > (long)MaxPages
            || !_machine.TryAllocateContiguous(order, Math.Min(limit, _machine.FrameCount), out mfn))
        {
            Interlocked.Add(ref _pageCount, -count);
            mfn = 0;
            return false;
        }

        for (uint i = 0; i < count; i++)
        {
            _frames.Assign(mfn + i, Domain.Id);
            Domain.Hypervisor.MachineToPhys[mfn + i] = uint.MaxValue;
        }

        return true;
    }

    /// <summary>
    /// Takes a zeroed frame for the hypervisor's own use that the domain may map through its L1 entries: shared_info, grant table. It does
    /// not count as the domain's reservation and can't be given back, retyped or granted away by it.
    /// </summary>
    /// <param name="mfn">The frame.</param>
    /// <param name="guestWritable">Whether it may be mapped writable.</param>
    /// <returns>False where the machine is full.</returns>
    public bool TryAllocateHypervisorPage(out uint mfn, bool guestWritable)
    {
        if (!_machine.TryAllocate(out mfn))
        {
            return false;
        }

        _frames.AssignHypervisorPage(mfn, Domain.Id, guestWritable);
        Domain.Hypervisor.MachineToPhys[mfn] = uint.MaxValue;
        return true;
    }

    /// <summary>Whether the domain owns the frame, a hypervisor's page shared with it included.</summary>
    public bool Owns(uint mfn) =>
        mfn < _frames.Count && (Volatile.Read(ref _frames[mfn].References) & PageInfo.ReferenceMask) != 0 && _frames[mfn].Owner == Domain.Id;

    /// <summary>What the frame is used as now; for tests and dumps, since it may change at once.</summary>
    internal PageType TypeOf(uint mfn) => _frames.TypeOf(mfn);

    /// <summary>
    /// Takes a reference and a type count on one of the domain's frames, so that it stays what it is: a descriptor page in use, or a page
    /// that the hypervisor itself writes (<see cref="PageType.Writable"/>).
    /// </summary>
    /// <returns>False where the domain doesn't own it, it is in use as something else, or its contents don't suit the type.</returns>
    public bool TryGetPageAndType(uint mfn, PageType type)
    {
        for (int attempt = 0; ; attempt++)
        {
            lock (Lock)
            {
                _grace.Poll();
                if (Tables.GetPageAndType(mfn, type) == 0)
                {
                    return true;
                }
            }

            if (!TrySettle(attempt))
            {
                return false;
            }
        }
    }

    /// <summary>Gives back what <see cref="TryGetPageAndType"/> took, exactly once.</summary>
    public void PutPageAndType(uint mfn)
    {
        lock (Lock)
        {
            Tables.PutPageAndType(mfn);
        }
    }

    /// <summary>
    /// Validates the table tree under an L3 frame that the builder wrote, pins it, and makes it the processor's base pointer (CR3).
    /// </summary>
    /// <returns>Null, or why the tables are not valid (our own builder's bug).</returns>
    public string? InstallInitialTables(Vcpu vcpu, uint l3Mfn)
    {
        lock (Lock)
        {
            int error = Tables.Pin(l3Mfn, PageType.L3);
            if (error != 0)
            {
                return $"initial page tables at frame {l3Mfn:x}: pinning gives {error}";
            }

            error = SwitchBase(vcpu, l3Mfn);
            return error == 0 ? null : $"initial page tables at frame {l3Mfn:x}: loading the base pointer gives {error}";
        }
    }

    /// <summary>MMUEXT_NEW_BASEPTR, and a new processor's first CR3: the processor's base pointer holds a reference and a type count.</summary>
    /// <returns>0 or a negative errno; then the old one stays.</returns>
    internal int SwitchBase(Vcpu vcpu, uint l3Mfn)
    {
        for (int attempt = 0; ; attempt++)
        {
            int error = TrySwitchBase(vcpu, l3Mfn);
            if (error == 0 || !TrySettle(attempt))
            {
                return error;
            }
        }
    }

    private int TrySwitchBase(Vcpu vcpu, uint l3Mfn)
    {
        lock (Lock)
        {
            uint old = vcpu.BaseMfn;
            if (old != l3Mfn)
            {
                int error = Tables.GetPageAndType(l3Mfn, PageType.L3);
                if (error != 0)
                {
                    return error;
                }

                AddressSpace space = _spaces.Find(l3Mfn);
                space.Processors++;
                if (vcpu.AddressSpace is { } left)
                {
                    left.Processors--;
                }

                vcpu.AddressSpace = space;
                vcpu.BaseMfn = l3Mfn;
                CpuState* cpu = vcpu.State;
                cpu->TlbRoot = space.Tlb.Root;
                cpu->Cr3 = (l3Mfn << 12) | (l3Mfn >> 20);
                cpu->RefreshMode();
                if (old != 0)
                {
                    Tables.PutPageAndType(old);
                }
            }

            vcpu.NotifyAddressSpaceChanged();
            return 0;
        }
    }

    /// <summary>Makes a processor hold no base pointer: it is reset or goes away.</summary>
    internal void DropBase(Vcpu vcpu)
    {
        lock (Lock)
        {
            if (vcpu.BaseMfn != 0)
            {
                vcpu.AddressSpace!.Processors--;
                vcpu.AddressSpace = null;
                if (vcpu.State != null)
                {
                    vcpu.State->TlbRoot = 0;
                    vcpu.State->Cr3 = 0;
                }

                Tables.PutPageAndType(vcpu.BaseMfn);
                vcpu.BaseMfn = 0;
            }
        }
    }

    /// <summary>See <see cref="Translator.Platform.ProtectCode"/>.</summary>
    public void ProtectCode(uint frame)
    {
        if (frame >= _frames.Count)
        {
            return;
        }

        ushort owner = _frames[frame].Owner;
        foreach (Domain domain in Domain.Hypervisor.Domains)
        {
            if (domain.Hvm is not null)
            {
                if (domain.Id != owner)
                {
                    continue;
                }

                foreach (Vcpu vcpu in domain.Vcpus)
                {
                    vcpu.Hvm!.DropWritesTo(frame);
                }
            }
            else if (domain.Id == owner)
            {
                lock (domain.Memory.Lock)
                {
                    domain.Memory._spaces.DropWritesTo(frame);
                }
            }
            else if (domain.Grants.MapsForeign(frame))
            {
                lock (domain.Memory.Lock)
                {
                    domain.Memory._spaces.DropWritesEverywhere(frame);
                }
            }
            else
            {
                continue;
            }

            LeaveTranslations(domain);
        }
    }

    /// <summary>Drops all write entries of the domain's software TLBs: the next write to each page is seen. Any thread; see <see cref="WriteLog"/>.</summary>
    internal void DropWrites()
    {
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            vcpu.Hvm?.DropWrites();
        }

        lock (Lock)
        {
            _spaces.DropWrites();
        }
    }

    /// <summary>Ends what <see cref="DropWrites"/> began.</summary>
    internal void ForgetWrites()
    {
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            vcpu.Hvm?.ForgetWrites();
        }

        lock (Lock)
        {
            _spaces.ForgetWrites();
        }
    }

    /// <summary>
    /// A loop may have looked the page up before it began, and go on writing by what it found. It looks again when it comes to its next turn.
    /// </summary>
    private static void LeaveTranslations(Domain domain)
    {
        Vcpu? current = Vcpu.Current;
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            if (vcpu != current && !vcpu.IsOutside)
            {
                vcpu.Interrupt();
            }
        }
    }

    /// <summary>
    /// Makes references that page-table entries gave up count no more, which takes other processors to pass a safe point. From a
    /// hypercall, without locks; elsewhere it does nothing.
    /// </summary>
    /// <param name="attempt">How often the caller has tried; another processor can't keep it trying.</param>
    /// <returns>True where there were any, and all are given back: what failed may succeed now.</returns>
    internal bool TrySettle(int attempt = 0)
    {
        const int MaxAttempts = 4;
        if (attempt == MaxAttempts || Vcpu.Current is { InHypercall: false })
        {
            return false;
        }

        lock (Lock)
        {
            if (!_grace.HasPending)
            {
                return false;
            }
        }

        return _grace.TryWait(Lock);
    }

    /// <summary>
    /// A granted page that was unmapped: waits until no processor of this domain can have it in hand. Where that takes too long, the
    /// page keeps a reference until then.
    /// </summary>
    internal void SettleGrant(uint mfn, bool writable)
    {
        if (Domain.Vcpus.Count == 1)
        {
            return;
        }

        lock (Lock)
        {
            // The mapping's own reference and count are still held, so that one more of each is to be had.
            if (_frames.TryGetAny(mfn, out _))
            {
                _grace.Put(mfn, writable && _frames.TryGetWritable(mfn));
            }
        }

        _ = TrySettle();
    }

    /// <summary>Called at the end of a hypercall that changes page tables: what waits for other processors stays bounded.</summary>
    internal void Relax()
    {
        if (_grace.IsLong)
        {
            _ = TrySettle();
        }
    }

    /// <summary>One of the domain's frames went back to the machine. Any thread.</summary>
    internal void PageReleased() => Interlocked.Decrement(ref _pageCount);
}
