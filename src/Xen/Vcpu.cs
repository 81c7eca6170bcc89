using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Xen;

/// <summary>
/// One virtual processor of a PV domain: its state, its host thread, and what the processor core asks of its surroundings.
/// </summary>
public sealed unsafe partial class Vcpu : Platform, IDisposable
{
    /// <summary>Makes a stopped processor.</summary>
    public Vcpu(Domain domain, int id)
    {
        Domain = domain;
        Id = id;
        State = CpuState.Allocate();
        State->MemoryBase = domain.Hypervisor.Machine.Base;
    }

    /// <summary>The domain it belongs to.</summary>
    public Domain Domain { get; }

    /// <summary>VCPU id, from 0.</summary>
    public int Id { get; }

    /// <summary>Architectural state.</summary>
    public CpuState* State { get; private set; }

    /// <inheritdoc/>
    public override CodeMap CodeMap => Domain.Hypervisor.Machine.CodeMap;

    /// <summary>Makes a running or blocked processor look at what has changed (events, stop, pause). Any thread.</summary>
    public void Kick() => throw new NotImplementedException();

    /// <inheritdoc/>
    public override bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error) =>
        Domain.Memory.TryResolve(this, linear, access, user, out host, out error);

    /// <inheritdoc/>
    public override bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override void DeliverFault(CpuState* cpu) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override ulong ReadTsc(CpuState* cpu) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override bool ExecutePrivileged(CpuState* cpu, in Instruction instruction) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override bool Attend(CpuState* cpu) => throw new NotImplementedException();

    /// <inheritdoc/>
    public override void ProtectCode(uint frame) => Domain.Memory.ProtectCode(frame);

    /// <inheritdoc/>
    public override void ReportUnimplemented(CpuState* cpu, string name) => Domain.Log.AddOnce($"instruction not implemented: {name}");

    /// <inheritdoc/>
    public void Dispose()
    {
        CpuState.Free(State);
        State = null;
    }
}
