using Dbt.Translator;
using Dbt.Translator.State;
using Dbt.Xen;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf;

/// <summary>
/// A small PV domain: 256 KiB mapped writable at linear 0, user-accessible, but for a page at <see cref="Table"/> that is mapped
/// read-only so that it may become a descriptor table, and the shared_info page at <see cref="SharedInfo"/>. It has no kernel but what is
/// assembled into it.
/// </summary>
internal unsafe class SmallDomain : IDisposable
{
    public const uint Code = 0x10000, User = 0x14000, Handlers = 0x18000, StackTop = 0x20000, KernelStackTop = 0x24000, UserStackTop = 0x28000,
        Data = 0x30000, Arguments = 0x34000, Table = 0x38000, SharedInfo = 0x3F000, Unmapped = 0x100000;

    private const int Pages = 64;
    private const ulong Present = 1, Writable = 2, UserAccess = 4;
    private readonly bool _ownsHypervisor;

    /// <param name="options">How its code is executed.</param>
    /// <param name="vcpus">Processors; only the first one has a state to start with.</param>
    /// <param name="hypervisor">Whose domain it is; null for one of its own.</param>
    public SmallDomain(EngineOptions options, int vcpus = 1, Hypervisor? hypervisor = null)
    {
        _ownsHypervisor = hypervisor is null;
        Hypervisor = hypervisor ?? new Hypervisor(64 << 20);
        Domain = Hypervisor.CreateDomain("test", options);
        Domain.Memory.MaxPages = 256;
        for (int i = 0; i < vcpus; i++)
        {
            Domain.Vcpus.Add(new Vcpu(Domain, i));
        }

        if (!Domain.Memory.TryAllocateHypervisorPage(out uint shared, true))
        {
            throw new InvalidOperationException("The machine has no page left for shared_info.");
        }

        Domain.SharedInfoMfn = shared;
        uint l1 = Page(), l2 = Page(), l2High = Page();
        Root = Page();
        for (uint i = 0; i < Pages; i++)
        {
            uint mfn = i == SharedInfo >> 12 ? shared : Page();
            Frames[i] = mfn;
            Entries(l1)[i] = ((ulong)mfn << 12) | Present | UserAccess | (i == Table >> 12 ? 0 : Writable);
        }

        Entries(l2)[0] = ((ulong)l1 << 12) | Present | Writable | UserAccess;
        Entries(Root)[0] = ((ulong)l2 << 12) | Present;
        Entries(Root)[3] = ((ulong)l2High << 12) | Present;
        if (Domain.Memory.InstallInitialTables(Vcpu, Root) is { } problem)
        {
            throw new InvalidOperationException($"The page tables are refused: {problem}");
        }

        Vcpu.SetStartState(Code, StackTop, 0);
    }

    public Hypervisor Hypervisor { get; }

    public Domain Domain { get; }

    public Vcpu Vcpu => Domain.Vcpus[0];

    public CpuState* Cpu => Vcpu.State;

    /// <summary>The frames at linear 0, 0x1000, and so on.</summary>
    public uint[] Frames { get; } = new uint[Pages];

    /// <summary>The L3 frame.</summary>
    public uint Root { get; }

    /// <summary>Bytes of a mapped linear address, whatever the guest's rights to it.</summary>
    public byte* At(uint linear) => Hypervisor.Machine.Frame(Frames[linear >> 12]) + (linear & 0xFFF);

    public ref uint Word(uint linear) => ref *(uint*)At(linear);

    /// <summary>Assembles code to a linear address, within its page.</summary>
    public void Assemble(uint linear, Action<Assembler> write)
    {
        var assembler = new Assembler(32);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), linear);
        byte[] bytes = stream.ToArray();
        if ((linear & 0xFFF) + bytes.Length > 4096)
        {
            throw new InvalidOperationException($"The code at {linear:x} is longer than its page.");
        }

        bytes.CopyTo(new Span<byte>(At(linear), bytes.Length));
    }

    /// <summary>Emits a hypercall.</summary>
    public static void Hypercall(Assembler c, int number, uint a1 = 0, uint a2 = 0, uint a3 = 0, uint a4 = 0)
    {
        c.mov(ebx, a1);
        c.mov(ecx, a2);
        c.mov(edx, a3);
        c.mov(esi, a4);
        c.mov(eax, number);
        c.@int(0x82);
    }

    /// <summary>Emits the end: sched_op_compat(shutdown, poweroff), and a loop for the case that it returned.</summary>
    public static void PowerOff(Assembler c)
    {
        Hypercall(c, 6, 2, 0);
        Label here = c.CreateLabel();
        c.Label(ref here);
        c.jmp(here);
    }

    public virtual void Dispose()
    {
        if (_ownsHypervisor)
        {
            Hypervisor.Dispose();
        }
    }

    private uint Page() => Domain.Memory.TryAddPage(out uint mfn) ? mfn : throw new InvalidOperationException("The machine has no page left.");

    private ulong* Entries(uint mfn) => (ulong*)Hypervisor.Machine.Frame(mfn);
}
