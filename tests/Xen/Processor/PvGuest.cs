using Dbt.Translator;
using Dbt.Translator.State;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Processor;

/// <summary>
/// A small PV domain: 256 KiB mapped writable at linear 0, user-accessible, but for a page at <see cref="Table"/> that is mapped
/// read-only so that it may become a descriptor table, and the shared_info page at <see cref="SharedInfo"/>. Hypercall handlers are
/// called directly, or guest code is assembled and run on its processor's own thread until it shuts the domain down.
/// </summary>
internal sealed unsafe class PvGuest : IDisposable
{
    public const uint Code = 0x10000, User = 0x14000, Handlers = 0x18000, StackTop = 0x20000, KernelStackTop = 0x24000, UserStackTop = 0x28000,
        Data = 0x30000, Arguments = 0x34000, Table = 0x38000, SharedInfo = 0x3F000, Unmapped = 0x100000;

    private const int Pages = 64;
    private const ulong Present = 1, Writable = 2, UserAccess = 4;
    private readonly bool _ownsHypervisor;

    public PvGuest(int vcpus = 1, Hypervisor? hypervisor = null)
    {
        _ownsHypervisor = hypervisor is null;
        Hypervisor = hypervisor ?? new Hypervisor(64 << 20);
        Domain = Hypervisor.CreateDomain("test", new EngineOptions { Kind = EngineKind.Interpreter });
        Domain.Memory.MaxPages = 256;
        for (int i = 0; i < vcpus; i++)
        {
            Domain.Vcpus.Add(new Vcpu(Domain, i));
        }

        Assert.True(Domain.Memory.TryAllocateHypervisorPage(out uint shared, true));
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
        Assert.Null(Domain.Memory.InstallInitialTables(Vcpu, Root));
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

    public uint MfnOf(uint linear) => Frames[linear >> 12];

    public int Call(int number, uint a1 = 0, uint a2 = 0, uint a3 = 0, uint a4 = 0) =>
        HypercallDispatch.Call(Vcpu, (uint)number, new HypercallArguments(a1, a2, a3, a4, 0, 0));

    /// <summary>Writes words to <see cref="Arguments"/> and returns that address.</summary>
    public uint Put(params uint[] words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            Word(Arguments + ((uint)i * 4)) = words[i];
        }

        return Arguments;
    }

    /// <summary>The nth word behind <see cref="Arguments"/>.</summary>
    public uint Reply(int index) => Word(Arguments + ((uint)index * 4));

    /// <summary>Assembles code to a linear address.</summary>
    public void Assemble(uint linear, Action<Assembler> write)
    {
        var assembler = new Assembler(32);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), linear);
        byte[] bytes = stream.ToArray();
        Assert.True((linear & 0xFFF) + bytes.Length <= 4096);
        bytes.CopyTo(new Span<byte>(At(linear), bytes.Length));
    }

    /// <summary>Sets an entry of the trap table.</summary>
    public void Trap(int vector, uint address, int level = 0, bool mask = false, uint selector = Layout.FlatRing1Cs)
    {
        Put((uint)vector | ((uint)(level | (mask ? 4 : 0)) << 8) | (selector << 16), address, 0, 0);
        Assert.Equal(0, Call(0, Arguments));
    }

    /// <summary>Runs what was assembled at <see cref="Code"/> until the domain stops.</summary>
    public ShutdownReason Run()
    {
        Vcpu.Start();
        ShutdownReason reason = WaitStopped();
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            vcpu.Stop();
        }

        return reason;
    }

    /// <summary>Waits until the domain stops.</summary>
    public ShutdownReason WaitStopped()
    {
        Assert.True(Domain.Stopped.Wait(TimeSpan.FromSeconds(30)), $"the guest did not stop; EIP {Cpu->Eip:x8}");
        return Domain.Stopped.Result;
    }

    /// <summary>Assembles code and runs it; it must power the domain off by itself.</summary>
    public void Run(Action<Assembler> code)
    {
        Assemble(Code, code);
        ShutdownReason reason = Run();
        Assert.True(reason == ShutdownReason.Poweroff, $"{reason}: {Domain.CrashReport?.Reason}\n{Domain.CrashReport?.Text}");
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

    public void Dispose()
    {
        if (_ownsHypervisor)
        {
            Hypervisor.Dispose();
        }
    }

    private uint Page()
    {
        Assert.True(Domain.Memory.TryAddPage(out uint mfn));
        return mfn;
    }

    private ulong* Entries(uint mfn) => (ulong*)Hypervisor.Machine.Frame(mfn);
}
