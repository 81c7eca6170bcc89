using Dbt.Translator.Emit;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>What an exit of compiled code reads, so that it is known what may change before a fault leads there.</summary>
/// <param name="code">The instructions by their offsets.</param>
internal sealed class ExitRegisters(SortedDictionary<ulong, Instruction> code)
{
    private const int MostFollowed = 300, MostOfPrologue = 20;
    private const uint All = uint.MaxValue;

    // What a function may be given, by the System V ABI: RDI, RSI, RDX, RCX, R8, R9, XMM0 to XMM7.
    private static readonly uint Arguments = MachineRegisters.Arguments | (0xFFu << 16);

    private readonly Dictionary<ulong, uint> _read = [];
    private readonly InstructionInfoFactory _factory = new();
    private bool? _hasFrame;

    /// <summary>Whether an instruction reaches for memory that isn't the function's own: its stack, its constants.</summary>
    public bool IsAccess(in Instruction i)
    {
        if (i.Mnemonic is Mnemonic.Lea or Mnemonic.Nop || i.IsIPRelativeMemoryOperand || IsOnStack(i))
        {
            return false;
        }

        for (int operand = 0; operand < i.OpCount; operand++)
        {
            if (i.GetOpKind(operand) == OpKind.Memory)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether an instruction changes nothing but registers that an exit doesn't read, or stores a register at its own place on the stack.</summary>
    /// <param name="i">The instruction.</param>
    /// <param name="exit">The exit's first byte.</param>
    /// <param name="written">Registers that instructions before it have written; those that it writes are added.</param>
    public bool MayPrecede(in Instruction i, ulong exit, ref uint written)
    {
        if (i.Mnemonic == Mnemonic.Nop)
        {
            return true;
        }

        if (i.IsIPRelativeMemoryOperand || i.IsStackInstruction)
        {
            return false;
        }

        uint writes = 0, reads = 0;
        foreach (UsedRegister used in _factory.GetInfo(i).GetUsedRegisters())
        {
            if (used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
            {
                writes |= Bit(used.Register);
            }
            else
            {
                reads |= Bit(used.Register);
            }
        }

        if (i.Op0Kind == OpKind.Memory)
        {
            // What a variable holds is the same in its register and in its place, wherever the exit looks for it.
            return i.Mnemonic is Mnemonic.Mov or Mnemonic.Vmovups or Mnemonic.Vmovaps or Mnemonic.Vmovsd or Mnemonic.Vmovss && i.Op1Kind == OpKind.Register && (reads & written) == 0;
        }

        written |= writes;
        return (writes & Read(exit)) == 0;
    }

    private bool IsOnStack(in Instruction i) => i.MemoryBase == Register.RSP || (i.MemoryBase == Register.RBP && (_hasFrame ??= HasFrame()));

    private bool HasFrame() => code.Values.Take(MostOfPrologue).Any(static i => i.Op0Kind == OpKind.Register && i.Op0Register == Register.RBP
        && ((i.Mnemonic == Mnemonic.Lea && i.MemoryBase == Register.RSP) || (i.Mnemonic == Mnemonic.Mov && i.Op1Kind == OpKind.Register && i.Op1Register == Register.RSP)));

    /// <summary>Registers that are read from there on before they are written; all where that can't be said.</summary>
    private uint Read(ulong exit)
    {
        if (!_read.TryGetValue(exit, out uint read))
        {
            int left = MostFollowed;
            read = Follow(exit, 0, ref left);
            _read.Add(exit, read);
        }

        return read;
    }

    private uint Follow(ulong at, uint written, ref int left)
    {
        uint read = 0;
        Instruction instruction = default;
        while (left-- > 0)
        {
            Instruction before = instruction;
            if (!code.TryGetValue(at, out instruction))
            {
                return All;
            }

            uint writes = 0;
            foreach (UsedRegister used in _factory.GetInfo(instruction).GetUsedRegisters())
            {
                if (used.Access is not OpAccess.Write and not OpAccess.NoMemAccess)
                {
                    read |= Bit(used.Register) & ~written;
                }
                else if (used.Register.IsGPR64() || used.Register.IsGPR32())
                {
                    // Half a register written leaves the other half to be read.
                    writes |= Bit(used.Register);
                }
            }

            written |= writes;
            at = instruction.NextIP;
            switch (instruction.FlowControl)
            {
                case FlowControl.Next:
                    break;
                case FlowControl.UnconditionalBranch:
                    at = instruction.NearBranchTarget;
                    break;
                case FlowControl.ConditionalBranch:
                    read |= Follow(instruction.NearBranchTarget, written, ref left);
                    break;
                case FlowControl.Call or FlowControl.IndirectCall:
                    read |= (TakesProcessorOnly(instruction, before) ? Bit(Register.RDI) : Arguments) & ~written;
                    break;
                case FlowControl.Return:
                    return read;
                default:
                    return All;
            }
        }

        return All;
    }

    // Most exits end with such a call, where floating-point state is live.
    internal static bool TakesProcessorOnly(in Instruction call, in Instruction before) =>
        call.FlowControl == FlowControl.IndirectCall && (call.Op0Kind == OpKind.Memory ? call : before) is { MemoryBase: not Register.None, MemoryIndex: Register.None } target
        && (call.Op0Kind == OpKind.Memory || (before.Mnemonic == Mnemonic.Mov && before.Op0Kind == OpKind.Register && before.Op0Register == call.Op0Register))
        && (target.MemoryDisplacement64 == (ulong)StateLayout.HarvestCode || target.MemoryDisplacement64 == (ulong)StateLayout.HarvestX87Code);

    private static uint Bit(Register register) =>
        register.IsVectorRegister() ? 1u << (16 + ((int)(register.GetFullRegister() - Register.ZMM0) & 15)) : MachineRegisters.Bit(register);
}
