using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Segments: GS has a base of its own, the others are flat.</summary>
internal static class SegmentSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("mov r32,gs:[d]", a => a.mov(eax, __dword_ptr.gs[0x14])),
        new("mov gs:[r32],r32", a => a.mov(__dword_ptr.gs[eax + 4], ecx)),
        new("two fields by gs", a =>
        {
            a.mov(eax, __dword_ptr.gs[0]);
            a.mov(ecx, __dword_ptr.gs[8]);
        }),
        new("cmp r32,gs:[d], jne", a =>
        {
            a.cmp(eax, __dword_ptr.gs[0x14]);
            a.jne(0x20000);
        }),
        new("mov r32,fs:[d], flat", a => a.mov(eax, __dword_ptr.fs[0x14])),
        new("mov r32,es:[r32]", a => a.mov(eax, __dword_ptr.es[esi])),
        new("mov r32,cs:[r32]: the interpreter's", a => a.mov(eax, __dword_ptr.cs[esi])),
        new("mov r32,ds", a => a.mov(eax, ds)),
        new("mov gs,r32", a => a.mov(gs, eax)),
        new("push es, pop ds", a =>
        {
            a.push(es);
            a.pop(ds);
        }),
    ];
}
