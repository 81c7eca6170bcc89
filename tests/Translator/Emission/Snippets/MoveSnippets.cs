using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Moves between registers and memory.</summary>
internal static class MoveSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("mov r32,r32", a => a.mov(eax, ecx)),
        new("mov r32,imm", a => a.mov(eax, 0x12345678)),
        new("mov r32,m32", a => a.mov(eax, __dword_ptr[esi + 8])),
        new("mov r32,m32 base+index*4", a => a.mov(eax, __dword_ptr[esi + (ecx * 4) + 8])),
        new("mov r32,m32 absolute", a => a.mov(eax, __dword_ptr[0x20000])),
        new("mov m32,r32", a => a.mov(__dword_ptr[esi + 8], eax)),
        new("mov m32,imm", a => a.mov(__dword_ptr[esi + 8], 5)),
        new("mov r16,r16", a => a.mov(ax, cx)),
        new("mov r16,m16", a => a.mov(ax, __word_ptr[esi])),
        new("mov m16,r16", a => a.mov(__word_ptr[esi], ax)),
        new("mov r8,r8 low from high", a => a.mov(al, ch)),
        new("mov r8,m8 high", a => a.mov(ah, __byte_ptr[esi])),
        new("mov m8,r8", a => a.mov(__byte_ptr[esi], bl)),
        new("movzx r32,m8", a => a.movzx(eax, __byte_ptr[esi])),
        new("movsx r32,r16", a => a.movsx(eax, cx)),
        new("lea r32,[base+index*8+d]", a => a.lea(eax, __[esi + (ecx * 8) + 12])),
        new("xchg r32,r32", a => a.xchg(eax, ecx)),
        new("bswap r32", a => a.bswap(eax)),
        new("cmp, cmovl r32,r32", a =>
        {
            a.cmp(eax, ecx);
            a.cmovl(eax, edx);
        }),
        new("cmp, cmovne r32,m32", a =>
        {
            a.cmp(eax, ecx);
            a.cmovne(eax, __dword_ptr[esi]);
        }),
        new("test, setz r8", a =>
        {
            a.test(eax, eax);
            a.sete(al);
        }),
        new("cmp, setb m8", a =>
        {
            a.cmp(eax, ecx);
            a.setb(__byte_ptr[esi]);
        }),
        new("cdq", a => a.cdq()),
        new("xlatb", a => a.xlatb()),
    ];
}
