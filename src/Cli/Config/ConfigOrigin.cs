namespace Dbt.Cli.Config;

/// <summary>What a guest's configuration was read from.</summary>
/// <param name="Text">All settings, those of the command line included.</param>
/// <param name="Path">What the file is called, absolute: paths are looked for in its folder too; null for none.</param>
/// <param name="Folder">Absolute: where paths are looked for first.</param>
internal sealed record ConfigOrigin(string Text, string? Path, string Folder)
{
    /// <summary>Reads it again.</summary>
    /// <param name="settings">key=value, which replace what it says.</param>
    /// <param name="disksAreHeld">Who has the guest still has its disks: they are looked at when they are opened.</param>
    /// <param name="restores">For a guest that was saved: its kernel need not be there, nor its images, of which it is told later.</param>
    /// <exception cref="ConfigException">It says what can't be done here.</exception>
    public GuestConfig Read(IEnumerable<string> settings, bool disksAreHeld = false, bool restores = false) => Path is null
        ? GuestConfigReader.ReadSettings(ConfigFile.Parse("configuration", Text), settings, Folder, needsKernel: false, disksAreHeld, restores)
        : GuestConfigReader.Read(Path, Text, settings, Folder, disksAreHeld, restores);
}
