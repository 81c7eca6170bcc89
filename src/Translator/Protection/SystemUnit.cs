using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Protection;

/// <summary>
/// The system architecture of one processor: a part for each chapter. All of its routines return false for a fault, which is then in
/// <see cref="CpuState.Fault"/>.
/// </summary>
internal sealed unsafe class SystemUnit
{
    public SystemUnit(NativePlatform owner)
    {
        Owner = owner;
        Paging = new Paging(owner);
        Memory = new SystemMemory(owner);
        Descriptors = new DescriptorAccess(this);
        Registers = new SystemRegisters(this);
        Tasks = new TaskSwitch(this);
        Interrupts = new InterruptUnit(this);
        Transfers = new FarTransfers(this);
        Returns = new FarReturns(this);
        FastCalls = new FastSystemCalls(this);
        Ports = new PortAccess(this);
        Tables = new TableRegisters(this);
    }

    public NativePlatform Owner { get; }

    public Paging Paging { get; }

    public SystemMemory Memory { get; }

    public DescriptorAccess Descriptors { get; }

    public SystemRegisters Registers { get; }

    public TaskSwitch Tasks { get; }

    public InterruptUnit Interrupts { get; }

    public FarTransfers Transfers { get; }

    public FarReturns Returns { get; }

    public FastSystemCalls FastCalls { get; }

    public PortAccess Ports { get; }

    public TableRegisters Tables { get; }

    /// <summary>Virtual-8086 mode below IOPL 3: INT n, PUSHF, POPF and IRET fault (SDM vol. 3, 20.2.7). CLI and STI fault by their CPL.</summary>
    public static bool IsSensitive(CpuState* cpu) => (cpu->Eflags & (Flags.Vm | Flags.Iopl)) is >= Flags.Vm and < (Flags.Vm | Flags.Iopl);

    /// <summary>After INIT or a reset.</summary>
    public void Reset()
    {
        Registers.Reset();
        Interrupts.Reset();
    }

    /// <summary>An instruction of ring 0, in ring 0.</summary>
    public bool Execute(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        ref readonly Instruction instruction = ref interpreter.Kept(in d);
        bool done;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Mov:
                done = Registers.Move(cpu, in instruction);
                break;
            case Mnemonic.Lmsw:
                done = Registers.LoadMachineStatus(interpreter, cpu, in d);
                break;
            case Mnemonic.Clts:
                cpu->Cr0 &= ~ControlBits.Cr0Ts;
                done = true;
                break;
            case Mnemonic.Invlpg:
                Owner.FlushPage(cpu, cpu->Segments[(SegmentIndex)d.Segment].Base + Interpreter.EffectiveAddress(cpu, in d));
                done = true;
                break;
            case Mnemonic.Rdmsr:
                done = Registers.ReadMsr(cpu);
                break;
            case Mnemonic.Wrmsr:
                done = Registers.WriteMsr(cpu);
                break;
            case Mnemonic.Lgdt or Mnemonic.Lidt or Mnemonic.Lldt or Mnemonic.Ltr:
                done = Tables.Load(interpreter, cpu, in d, instruction.Mnemonic);
                break;
            case Mnemonic.Hlt:
                cpu->Eip = d.NextEip;
                cpu->Attention = 1;
                Owner.Halt(cpu);
                return true;
            case Mnemonic.Invd or Mnemonic.Wbinvd or Mnemonic.Wbnoinvd:
                done = true;
                break;
            default:
                // XSETBV: there is no XSAVE.
                done = Interpreter.Undefined(cpu);
                break;
        }

        if (done)
        {
            cpu->Eip = d.NextEip;
            cpu->RefreshMode();
        }

        return done;
    }

    /// <summary>Sets the fault; always false.</summary>
    public static bool Raise(CpuState* cpu, Vector vector, uint error = 0) => Interpreter.Raise(cpu, vector, error);
}
