using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Dbt.Xen;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Tests.Xen.Memory;

/// <summary>
/// A domain without running code: hand-made page tables, whose first 2 MiB map <see cref="Pages"/> writable, and hypercall handlers
/// called as the dispatcher would. Arguments lie in guest memory from <see cref="Arguments"/> on.
/// </summary>
internal sealed unsafe class MemoryFixture : IDisposable
{
    public const ulong P = 1, W = 2, U = 4, A = 32, D = 64, Nx = 1UL << 63;
    public const uint Arguments = 0x10000;
    private readonly bool _ownsHypervisor;

    public MemoryFixture(Hypervisor? hypervisor = null, int pages = 64)
    {
        _ownsHypervisor = hypervisor is null;
        Hypervisor = hypervisor ?? new Hypervisor(256 << 20);
        Domain = Hypervisor.CreateDomain("test", new EngineOptions());
        Memory = Domain.Memory;
        Memory.MaxPages = 8192;
        Vcpu = new Vcpu(Domain, 0);
        Domain.Vcpus.Add(Vcpu);
        Vcpu.State->Cpl = 1;
        L1 = Page();
        L2 = Page();
        L2High = Page();
        L3 = Page();
        Pages = new uint[pages];
        for (int i = 0; i < pages; i++)
        {
            Pages[i] = Page();
            Table(L1)[i] = Entry(Pages[i], P | W | U | A | D);
        }

        Table(L2)[0] = Entry(L1, P | W | U | A);
        Table(L3)[0] = Entry(L2, P);
        Table(L3)[3] = Entry(L2High, P);
        Assert.Null(Memory.InstallInitialTables(Vcpu, L3));
    }

    public Hypervisor Hypervisor { get; }

    public Domain Domain { get; }

    public DomainMemory Memory { get; }

    public Vcpu Vcpu { get; }

    /// <summary>The frames mapped at linear 0, 0x1000, and so on.</summary>
    public uint[] Pages { get; }

    public uint L1 { get; }

    public uint L2 { get; }

    public uint L2High { get; }

    public uint L3 { get; }

    public static ulong Entry(uint mfn, ulong flags) => ((ulong)mfn << 12) | flags;

    /// <summary>One more frame of the domain's, mapped nowhere.</summary>
    public uint Page()
    {
        Assert.True(Memory.TryAddPage(out uint mfn));
        return mfn;
    }

    public ulong* Table(uint mfn) => (ulong*)Hypervisor.Machine.Frame(mfn);

    public ref PageInfo Info(uint mfn) => ref Hypervisor.Frames[mfn];

    public uint References(uint mfn) => Info(mfn).References & PageInfo.ReferenceMask;

    public uint TypeCount(uint mfn) => PageInfo.CountOf(Info(mfn).TypeInfo);

    /// <summary>Reference and type counts of a frame, to be compared before and after.</summary>
    public (uint References, ulong Type) Counts(uint mfn) => (References(mfn), TypeCount(mfn) == 0 ? 0 : Info(mfn).TypeInfo);

    public int Call(int number, uint a1 = 0, uint a2 = 0, uint a3 = 0, uint a4 = 0, uint a5 = 0) =>
        HypercallTable.Rows[number]!.Handler(Vcpu, new HypercallArguments(a1, a2, a3, a4, a5, 0));

    public void Put<T>(uint linear, T value)
        where T : unmanaged => Assert.True(GuestAccess.TryWrite(Vcpu, linear, value));

    public T Get<T>(uint linear)
        where T : unmanaged
    {
        Assert.True(GuestAccess.TryRead(Vcpu, linear, out T value));
        return value;
    }

    /// <summary>One mmu_update; the command is in the address's low bits.</summary>
    public int Update(ulong address, ulong value, uint foreign = 0x7FF0)
    {
        Put(Arguments, address);
        Put(Arguments + 8, value);
        return Call(1, Arguments, 1, 0, foreign);
    }

    public int UpdateEntry(uint table, int index, ulong value) => Update(((ulong)table << 12) + ((ulong)index * 8), value);

    /// <summary>One mmuext_op.</summary>
    public int Extended(uint command, uint argument1 = 0, uint argument2 = 0)
    {
        Put(Arguments, command);
        Put(Arguments + 4, argument1);
        Put(Arguments + 8, argument2);
        return Call(26, Arguments, 1, 0, 0x7FF0);
    }

    public int Pin(uint mfn, PageType type) => Extended((uint)type - 1, mfn);

    public int Unpin(uint mfn) => Extended(4, mfn);

    public int UpdateVa(uint linear, ulong value, uint flags = 0) => Call(14, linear, (uint)value, (uint)(value >> 32), flags);

    public bool TryResolve(uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error) =>
        Memory.TryResolve(Vcpu, linear, access, user, out host, out error);

    /// <summary>Whether the software TLB in force holds an entry.</summary>
    public bool InTlb(uint linear, MemoryAccess access, bool user = false) =>
        Vcpu.AddressSpace!.Tlb.Entry(linear >> 12, access, user) != 0;

    /// <summary>A valid L2 for slot 3 and an L3 over it and <see cref="L2"/>, not yet typed.</summary>
    public uint SecondRoot(out uint high)
    {
        high = Page();
        uint root = Page();
        Table(root)[0] = Entry(L2, P);
        Table(root)[3] = Entry(high, P);
        return root;
    }

    public void Dispose()
    {
        if (_ownsHypervisor)
        {
            Hypervisor.Dispose();
        }
    }
}
