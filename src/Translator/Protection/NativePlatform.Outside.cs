using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>What the owner of the machine brings: memory, ports, devices, interrupts, registers of its own.</summary>
public abstract unsafe partial class NativePlatform
{
    /// <summary>Host address of a physical page of RAM or ROM.</summary>
    /// <param name="frame">Physical address over 4096.</param>
    /// <param name="write">Whether it is to be written: ROM is then none.</param>
    /// <returns>Null where there is no memory: the access goes to <see cref="ReadDevice"/> or <see cref="WriteDevice"/>.</returns>
    protected internal abstract byte* PhysicalPage(ulong frame, bool write);

    /// <summary>Reads a register of a device in memory, or nothing (all ones). Registers are aligned 32-bit words, read as a whole.</summary>
    /// <param name="physical">Address, a multiple of 4.</param>
    protected internal virtual uint ReadDevice(ulong physical) => uint.MaxValue;

    /// <summary>Writes a register of a device in memory, before the next instruction.</summary>
    /// <param name="physical">Address, a multiple of 4.</param>
    /// <param name="value">What the instruction stored; bytes that it left alone are as <see cref="ReadDevice"/> gave them.</param>
    protected internal virtual void WriteDevice(ulong physical, uint value)
    {
    }

    /// <summary>IN.</summary>
    /// <param name="port">Port.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    protected internal abstract uint ReadPort(ushort port, int size);

    /// <summary>OUT.</summary>
    /// <param name="port">Port.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <param name="value">The bytes, zero-extended.</param>
    protected internal abstract void WritePort(ushort port, int size, uint value);

    /// <summary>RDMSR of a register that isn't the processor core's (EFER, SYSENTER, PAT, MTRRs, DEBUGCTL and TSC are).</summary>
    /// <returns>False for #GP(0).</returns>
    protected internal abstract bool TryReadMsr(uint index, out ulong value);

    /// <summary>WRMSR of a register that isn't the processor core's.</summary>
    /// <returns>False for #GP(0).</returns>
    protected internal abstract bool TryWriteMsr(uint index, ulong value);

    /// <summary>WRMSR to the time-stamp counter.</summary>
    protected internal virtual void WriteTsc(ulong value)
    {
    }

    /// <summary>VMCALL and VMMCALL. EIP still names the instruction; where it was a call the owner sets EIP to <paramref name="nextEip"/>.</summary>
    /// <returns>False for #UD.</returns>
    protected internal virtual bool CallOwner(CpuState* cpu, uint nextEip) => false;

    /// <summary>Whether an external interrupt wants in, whatever IF says.</summary>
    protected internal abstract bool HasInterrupt { get; }

    /// <summary>Takes that interrupt from its controller.</summary>
    /// <returns>Its vector; -1 where it has gone.</returns>
    protected internal abstract int AcknowledgeInterrupt();

    /// <summary>Whether an NMI waits; true takes it. Asked only where NMIs aren't blocked.</summary>
    protected internal virtual bool TakeNmi() => false;

    /// <summary>HLT in ring 0. EIP is behind it. The owner notes it, and waits in <see cref="AttendOutside"/>, which comes next.</summary>
    protected internal abstract void Halt(CpuState* cpu);

    /// <summary>A triple fault, or a mode that this processor doesn't have: the owner stops it, <see cref="AttendOutside"/> comes next.</summary>
    protected internal abstract void Shutdown(CpuState* cpu, string reason);

    /// <summary>The owner's part of <see cref="Platform.Attend"/>: waiting after HLT, stopping, timers.</summary>
    /// <returns>False to leave the execution loop for good.</returns>
    protected abstract bool AttendOutside(CpuState* cpu);

    /// <summary>MAXPHYADDR (CPUID 0x80000008), 32 to 52. Page-table bits above it are reserved.</summary>
    protected internal virtual int PhysicalAddressBits => 36;

    /// <summary>Bits of CR4 that may be set: what CPUID tells of.</summary>
    protected internal virtual uint Cr4Supported =>
        ControlBits.Cr4Tsd | ControlBits.Cr4De | ControlBits.Cr4Pse | ControlBits.Cr4Pae | ControlBits.Cr4Mce | ControlBits.Cr4Pge
        | ControlBits.Cr4Pce | ControlBits.Cr4Osfxsr | ControlBits.Cr4Osxmmexcpt;
}
