using Dbt.Translator.Interpretation.Operations;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Data movement, exchange, conditional moves.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] MoveRows() =>
    [
        new(Mnemonic.Mov, "MOV", TestClass.Move, &MoveOperations.Mov),
        new(Mnemonic.Movzx, "MOVZX", TestClass.Move, &MoveOperations.Movzx),
        new(Mnemonic.Movsx, "MOVSX/MOVSXD", TestClass.Move, &MoveOperations.Movsx),
        new(Mnemonic.Lea, "LEA", TestClass.Move, &MoveOperations.Lea),
        new(Mnemonic.Xchg, "XCHG", TestClass.Move, &MoveOperations.Xchg),
        new(Mnemonic.Xadd, "XADD", TestClass.Alu, &MoveOperations.Xadd),
        new(Mnemonic.Cmpxchg, "CMPXCHG", TestClass.Alu, &MoveOperations.Cmpxchg),
        new(Mnemonic.Cmpxchg8b, "CMPXCHG8B/CMPXCHG16B", TestClass.Alu, &MoveOperations.Cmpxchg8b),
        new(Mnemonic.Bswap, "BSWAP", TestClass.Move, &MoveOperations.Bswap),
        new(Mnemonic.Xlatb, "XLAT/XLATB", TestClass.Move, &MoveOperations.Xlat),
        new(Mnemonic.Movbe, "MOVBE", TestClass.Move, &MoveOperations.Movbe),
        new(Mnemonic.Cmovo, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovno, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovb, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovae, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmove, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovne, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovbe, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmova, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovs, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovns, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovp, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovnp, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovl, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovge, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovle, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Cmovg, "CMOVcc", TestClass.Move, &MoveOperations.Cmov),
        new(Mnemonic.Seto, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setno, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setb, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setae, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Sete, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setne, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setbe, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Seta, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Sets, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setns, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setp, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setnp, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setl, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setge, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setle, "SETcc", TestClass.Move, &MoveOperations.Set),
        new(Mnemonic.Setg, "SETcc", TestClass.Move, &MoveOperations.Set),
    ];
}
