using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Migration;

/// <summary>
/// Who this user's daemons are to others: a key of their own, made on first need, with a certificate signed by itself. Nobody vouches for it;
/// others trust exactly this certificate, or they don't. In <c>$XDG_CONFIG_HOME/dbt/migration</c>, readable by the user alone.
/// </summary>
internal sealed class MigrationIdentity
{
    private const string FileName = "identity.pem";

    private readonly string _path;

    /// <param name="folder">Where it is kept.</param>
    public MigrationIdentity(string folder) => _path = Path.Combine(folder, FileName);

    /// <summary>The user's own folder for it, and for whom it trusts.</summary>
    public static string DefaultFolder => UserFolders.Configuration("migration");

    /// <summary>By which a person compares certificates: SHA-256 of it, in hexadecimal, as openssl shows it.</summary>
    public static string Fingerprint(X509Certificate certificate)
    {
        byte[] hash = SHA256.HashData(certificate.GetRawCertData());
        return string.Join(':', hash.Select(static octet => octet.ToString("X2", CultureInfo.InvariantCulture)));
    }

    /// <summary>The certificate with its key, made where there is none.</summary>
    /// <exception cref="MigrationException">The file can't be read or written, is no key, or others may read it.</exception>
    public X509Certificate2 Load()
    {
        try
        {
            if (!File.Exists(_path))
            {
                Make();
            }

#pragma warning disable CA1416 // there is no Windows build
            const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
            if ((File.GetUnixFileMode(_path) & others) != 0)
            {
                throw new MigrationException($"{_path}: others can read or write this key; remove it (a new one is made, and peers have to trust that), or chmod 600 it if nobody has");
            }
#pragma warning restore CA1416
            return X509Certificate2.CreateFromPemFile(_path, _path);
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new MigrationException($"{_path}: {exception.Message}; remove it and a new key is made, which peers have to trust anew", exception);
        }
    }

    private void Make()
    {
        string folder = Path.GetDirectoryName(_path)!;
        PrivateFolder.Make(folder, "set XDG_CONFIG_HOME");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=dbt {Environment.UserName}@{Environment.MachineName}".Replace(',', ' '), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));

        // It is trusted or not by itself; no clock has a say.
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(9999, 12, 31, 0, 0, 0, TimeSpan.Zero));
        string temporary = $"{_path}.{Path.GetRandomFileName()}";
        using (var writer = new StreamWriter(new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
#pragma warning disable CA1416 // there is no Windows build
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
#pragma warning restore CA1416
        })))
        {
            writer.WriteLine(certificate.ExportCertificatePem());
            writer.WriteLine(key.ExportPkcs8PrivateKeyPem());
        }

        // File.Move looks whether there is one and then takes its place, so of two who make one at the same time both would go with their own.
        if (HardLink.Create(temporary, _path) is 0 or HardLink.Exists)
        {
            File.Delete(temporary);
            return;
        }

        // A file system without links, where that is as good as it gets.
        try
        {
            File.Move(temporary, _path, overwrite: false);
        }
        catch (IOException) when (File.Exists(_path))
        {
            File.Delete(temporary);
        }
    }
}
