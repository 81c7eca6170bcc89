using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Translator;

/// <summary>
/// What a processor is plugged into. The translator knows the i386 architecture and nothing of what surrounds it;
/// memory, descriptor tables, exceptions and everything that leaves guest code come through here.
/// All members are called on the processor's own thread, between or within instructions, never from translated code.
/// </summary>
public abstract unsafe class Platform
{
    /// <summary>Frames that hold translated code; shared by all that write guest memory.</summary>
    public abstract CodeMap CodeMap { get; }

    /// <summary>
    /// Translates a linear address by the page tables in force, setting accessed and dirty bits, and fills the software TLB.
    /// A write entry is never filled for a frame that <see cref="CodeMap"/> says holds code.
    /// </summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="linear">Linear address of one byte.</param>
    /// <param name="access">What is wanted.</param>
    /// <param name="user">Whether user rights apply (CPL 3 and not an implicit supervisor access).</param>
    /// <param name="host">Host address of that byte, valid to the end of its 4-KiB page.</param>
    /// <param name="error">The page fault's error code where the result is false.</param>
    /// <returns>False for a page fault.</returns>
    public abstract bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error);

    /// <summary>
    /// The software TLB in force, if its pages may be mapped in an <see cref="AddressWindow"/> too: guest memory can be mapped twice, and <see cref="CpuState.Window"/> is set anew with each change of
    /// address space. Null otherwise.
    /// </summary>
    public virtual SoftwareTlb? WindowedTlb(CpuState* cpu) => null;

    /// <summary>Has the program in the address space in force go by the window that it had before, if there is one that waits.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="always">Whether or not it is going to pay.</param>
    internal virtual void ResumeWindow(CpuState* cpu, bool always)
    {
    }

    /// <summary>Which programs have a window by themselves; null where none do.</summary>
    internal virtual IWindowSpaces? WindowSpaces => null;

    /// <summary>Fills the execute entry of a page that the guest has not asked for, if it may be executed: nothing else comes of it where it may not.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="page">Linear page.</param>
    internal virtual void LookAhead(CpuState* cpu, uint page) =>
        TryResolve(cpu, page << 12, MemoryAccess.Execute, (cpu->Mode & CpuMode.User) != 0, out _, out _);

    /// <summary>Reads a descriptor from the GDT or LDT as the processor does for a segment load.</summary>
    /// <returns>False where the selector is beyond the table's limit or the table is absent (the caller raises #GP(selector)).</returns>
    public abstract bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor);

    /// <summary>The processor's own system architecture (IDT, TSS, gates); null where a hypervisor stands in its place.</summary>
    internal virtual SystemUnit? SystemUnit => null;

    /// <summary>Whether the last <see cref="TryReadDescriptor"/> failed with a page fault of the table, which is then in <see cref="CpuState.Fault"/>.</summary>
    internal virtual bool TakeDescriptorFault(CpuState* cpu) => false;

    /// <summary>Sets the accessed bit of the descriptor that was loaded, in the table and in the register.</summary>
    /// <returns>False for a page fault, which is then in <see cref="CpuState.Fault"/>.</returns>
    internal virtual bool TrySetAccessed(CpuState* cpu, ref Segment segment) => true;

    /// <summary>
    /// Delivers <see cref="CpuState.Fault"/> of the instruction at <see cref="CpuState.Eip"/> (for traps: after it). The platform may
    /// emulate the instruction, enter the guest's handler, or stop the processor by raising Attention.
    /// </summary>
    public abstract void DeliverFault(CpuState* cpu);

    /// <summary>INT n, INT3 and INTO (a software interrupt through the IDT). EIP still names the instruction.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="vector">0 to 255.</param>
    /// <param name="nextEip">EIP after the instruction.</param>
    public abstract void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip);

    /// <summary>CPUID executed natively.</summary>
    public abstract void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx);

    /// <summary>RDTSC's value.</summary>
    public abstract ulong ReadTsc(CpuState* cpu);

    /// <summary>
    /// An instruction that the architecture reserves to ring 0 was executed in ring 0, or port I/O where IOPL permits it.
    /// </summary>
    /// <returns>True where it was carried out and EIP advanced; false raises #GP(0).</returns>
    public abstract bool ExecutePrivileged(CpuState* cpu, in Iced.Intel.Instruction instruction);

    /// <summary>
    /// Attention was raised. The platform takes events, stops or blocks the processor, and clears Attention before it looks
    /// for work (a raise that comes later is then seen).
    /// </summary>
    /// <returns>False where the processor is to leave its execution loop for good.</returns>
    public abstract bool Attend(CpuState* cpu);

    /// <summary>A frame received its first translated code: no software TLB may keep a write entry to it.</summary>
    public abstract void ProtectCode(uint frame);

    /// <summary>An instruction that this processor does not implement was met; #UD follows. Said once per name in the log.</summary>
    public abstract void ReportUnimplemented(CpuState* cpu, string name);
}
