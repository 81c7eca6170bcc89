using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>Which of the host's sixteen integer registers an instruction reads and writes, as a bit per number.</summary>
internal sealed class MachineRegisters
{
    /// <summary>RSP and RBP: the stack and its frame.</summary>
    public const uint Frame = (1u << 4) | (1u << 5);

    /// <summary>What a function may be given.</summary>
    public static readonly uint Arguments = Bits(Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9);

    // System V ABI. A region is given the processor, its instance and the way to it.
    private static readonly uint RegionArguments = Bits(Register.RDI, Register.RSI, Register.RDX);
    private static readonly uint Changed = Arguments | Bits(Register.RAX, Register.R10, Register.R11);
    private static readonly uint Kept = Bits(Register.RBX, Register.RBP, Register.RSP, Register.R12, Register.R13, Register.R14, Register.R15);

    private readonly InstructionInfoFactory _factory = new();

    /// <summary>The bit of a register of any width; 0 where it is none of them.</summary>
    public static uint Bit(Register register) => register.IsGPR() ? 1u << (int)(register.GetFullRegister() - Register.RAX) : 0;

    /// <summary>What an instruction does.</summary>
    /// <param name="i">The instruction.</param>
    /// <param name="before">The one before it.</param>
    public RegisterEffect Of(in Instruction i, in Instruction before)
    {
        uint read = 0, written = 0, partly = 0;
        foreach (UsedRegister used in _factory.GetInfo(i, InstructionInfoOptions.NoMemoryUsage).GetUsedRegisters())
        {
            uint bit = Bit(used.Register);
            switch (used.Access)
            {
                case OpAccess.Write when used.Register.IsGPR32() || used.Register.IsGPR64():
                    written |= bit;
                    break;
                case OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadCondWrite:
                    partly |= bit;
                    break;
                case OpAccess.ReadWrite:
                    read |= bit;
                    written |= bit;
                    break;
                default:
                    read |= bit;
                    break;
            }
        }

        switch (i.FlowControl)
        {
            case FlowControl.Call or FlowControl.IndirectCall:
                read |= ExitRegisters.TakesProcessorOnly(i, before) ? Bit(Register.RDI) : Arguments;
                written |= Changed;
                break;
            case FlowControl.Return:
                read |= Kept | Bit(Register.RAX);
                break;
            case FlowControl.IndirectBranch:
                read |= Kept | RegionArguments;
                break;
        }

        return new RegisterEffect(read | partly, written | partly);
    }

    private static uint Bits(params ReadOnlySpan<Register> registers)
    {
        uint bits = 0;
        foreach (Register register in registers)
        {
            bits |= Bit(register);
        }

        return bits;
    }
}

/// <summary>What an instruction does with registers.</summary>
/// <param name="Read">Those whose old value counts, for what is only partly written too.</param>
/// <param name="Written">Those that it changes.</param>
internal readonly record struct RegisterEffect(uint Read, uint Written);
