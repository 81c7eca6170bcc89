using Dbt.Perf;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Iced.Intel;

namespace Dbt.Tests.Xen.Processor;

/// <summary>
/// A small PV domain. Hypercall handlers are called directly, or guest code is assembled and run on its processor's own thread until it shuts the
/// domain down.
/// </summary>
internal sealed unsafe class PvGuest(int vcpus = 1, Hypervisor? hypervisor = null)
    : SmallDomain(new EngineOptions { Kind = EngineKind.Interpreter }, vcpus, hypervisor)
{
    public uint MfnOf(uint linear) => Frames[linear >> 12];

    public int Call(int number, uint a1 = 0, uint a2 = 0, uint a3 = 0, uint a4 = 0) =>
        HypercallDispatch.Call(Vcpu, (uint)number, new HypercallArguments(a1, a2, a3, a4, 0, 0));

    /// <summary>Writes words to <see cref="SmallDomain.Arguments"/> and returns that address.</summary>
    public uint Put(params uint[] words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            Word(Arguments + ((uint)i * 4)) = words[i];
        }

        return Arguments;
    }

    /// <summary>The nth word behind <see cref="SmallDomain.Arguments"/>.</summary>
    public uint Reply(int index) => Word(Arguments + ((uint)index * 4));

    /// <summary>Sets an entry of the trap table.</summary>
    public void Trap(int vector, uint address, int level = 0, bool mask = false, uint selector = Layout.FlatRing1Cs)
    {
        Put((uint)vector | ((uint)(level | (mask ? 4 : 0)) << 8) | (selector << 16), address, 0, 0);
        Assert.Equal(0, Call(0, Arguments));
    }

    /// <summary>Runs what was assembled at <see cref="SmallDomain.Code"/> until the domain stops.</summary>
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
}
